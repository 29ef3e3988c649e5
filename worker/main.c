#include <stdio.h>

int main(void)
{
    (void)puts("attemptd " ATTEMPTD_VERSION);
    return 0;
}
