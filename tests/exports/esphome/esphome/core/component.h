// Of ESPHome's core what the component calls, for this machine.
#pragma once

namespace esphome
{

class Component
{
  public:
    virtual ~Component() = default;
    virtual void setup() {}
    virtual void loop() {}
    void mark_failed()
    {
        this->has_failed = true;
    }
    bool has_failed = false;
};

} // namespace esphome
