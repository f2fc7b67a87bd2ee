/* Text that grows in a buffer (text.h). */
#include "sim/text.h"

#include <stdarg.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

struct sim_text sim_text_begin(char *buffer, size_t size)
{
    assert(size > 0);
    buffer[0] = '\0';
    return (struct sim_text){.at = buffer, .left = size, .begin = buffer};
}

void sim_text_add(struct sim_text *text, const char *format, ...)
{
    va_list arguments;
    int length = 0;

    va_start(arguments, format);
    length = vsnprintf(text->at, text->left, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    if ((size_t)length >= text->left)
        length = (int)text->left - 1;
    text->at += length;
    text->left -= (size_t)length;
}

void sim_text_add_us(struct sim_text *text, sim_time time)
{
    sim_text_add(text, "%" PRIu64 ".%03" PRIu64, time / SIM_US, time % SIM_US / SIM_NS);
}

void sim_text_pad(struct sim_text *text, size_t column)
{
    size_t length = (size_t)(text->at - text->begin);

    sim_text_add(text, "%*s", length < column ? (int)(column - length) : 1, "");
}
