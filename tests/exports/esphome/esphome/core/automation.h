// Of ESPHome's automations what the component calls: a trigger calls a function.
#pragma once

#include <functional>
#include <utility>

namespace esphome
{

template <typename... Ts> class Trigger
{
  public:
    void trigger(const Ts &...x)
    {
        if (this->action) {
            this->action(x...);
        }
    }
    std::function<void(const Ts &...)> action;
};

template <typename T, typename... Ts> class TemplatableValue
{
  public:
    TemplatableValue() = default;
    TemplatableValue(T value) : value_(std::move(value)) {}
    T value(const Ts &...) const
    {
        return this->value_;
    }

  private:
    T value_{};
};

#define TEMPLATABLE_VALUE(type, name)             \
  protected:                                      \
    TemplatableValue<type, Ts...> name##_{};      \
                                                  \
  public:                                         \
    template <typename V> void set_##name(V name) \
    {                                             \
        this->name##_ = name;                     \
    }

template <typename... Ts> class Action
{
  public:
    virtual ~Action() = default;
    virtual void play(const Ts &...x) = 0;
};

} // namespace esphome
