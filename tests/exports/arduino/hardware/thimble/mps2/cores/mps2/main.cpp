#include "Arduino.h"

Console Serial;

int main()
{
    setup();
    loop();
    return 0;
}
