#include "thimble_quantities.h"

#include <string.h>

enum { MAX_WORD_BYTES = 95, MAX_WORD_MORPHEMES = 16, MAX_MORPHEMES = 32, MAX_DIGITS = 12 };
enum { LARGEST = 999999999, MINUTES_OF_DAY = 1440 };

/* What a morpheme is. Literal words of patterns have the classes from LITERAL on. */
enum {
    NUMBER,
    POWER,
    AND,
    OF,
    ARTICLE,
    MINUS,
    POINT,
    FRACTION,
    UNIT,
    ABBREVIATION,
    ORDINAL,
    ORDINAL_SUFFIX,
    MOMENT,
    MONTH,
    DATE,
    SIGN,
    HUNDREDS
};
enum { LITERAL = 32 };
enum { UNITS_FIRST = 1, AND_IN_TENS = 2, TEENS = 4, SCORES = 8, AND_FRACTION = 16 }; /* styles of numbers */
/* What an item of a pattern matches beside these. */
enum {
    A_NUMBER = 20,
    AN_AMOUNT,
    AN_HOUR,
    ANY_HOUR,
    A_MINUTE,
    A_CLOCK,
    A_DOTTED,
    A_DAY,
    AN_ORDINAL,
    A_DAY_MONTH,
    A_PART,
    A_FRACTION
};
enum { OPTIONAL = 0x80 };
/* Kinds of patterns beside those of quantities, and a pattern's flags. */
enum { NONE = 0, PART = 7, KIND = 0x0F, NOT_BEFORE = 0x10, NOT_AFTER = 0x20, BACKWARDS = 0x40 };
enum { GLUED = 0x80, LAST_CLASS = 0x80 };
enum { AT_END = 0xFF }; /* the class of the beginning and the end of a text */
enum { NO_MORPHEME = 0xFFFF, DIGITS = 0xFFFE };

typedef struct {
    int64_t value;        /* of digits, in units of 1 / ONE */
    uint16_t entry;       /* where it begins in the table, NO_MORPHEME or DIGITS */
    int16_t minutes;      /* digits that are a clock time: since midnight, else -1 */
    bool is_whole;        /* digits without decimals */
    uint8_t left, right;  /* both sides of the only sign, at most 255 */
    uint8_t right_digits; /* without a sign all digits */
    bool is_pair, is_negative, is_last;
} morpheme;

typedef struct {
    const thimble_quantities *tables;
    const thimble_words *words;
    uint16_t first, next_word;
    uint16_t count;
    morpheme morphemes[MAX_MORPHEMES];
} reader;

typedef struct {
    int64_t value; /* in units of 1 / ONE */
    unsigned end;  /* 0: there is none */
    bool is_article, is_plain;
} number;

typedef struct {
    int64_t value; /* of a number */
    int32_t hour, minute;
    int32_t part, day, month, date;
} captured;

/* Numbers count in parts that decimals and fractions are whole numbers of, up to a twelfth and to six decimals. */
#define ONE INT64_C(12000000)

static const int32_t powers[3] = {100, 1000, 1000000};
static const int32_t unit_seconds[5] = {604800, 86400, 3600, 60, 1};
static const uint8_t month_days[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

/* Words and morphemes */

/* Where the classes of a morpheme begin. */
static const uint8_t *classes_of(const uint8_t *entry)
{
    return entry + 1 + (entry[0] & ~(unsigned)GLUED);
}

static const uint8_t *next_class(const uint8_t *at)
{
    return at + ((at[0] & ~(unsigned)LAST_CLASS) < LITERAL ? 2 : 1);
}

/* Below 0, 0 or above 0, as a morpheme is lower than a text, equal or higher. */
static int compare(const uint8_t *entry, const uint8_t *text, size_t length)
{
    const size_t size = entry[0] & ~(unsigned)GLUED;
    const int order = memcmp(entry + 1, text, size < length ? size : length);
    return order ? order : (size > length) - (size < length);
}

/* Where a text is in the table, or NO_MORPHEME. */
static uint16_t find(const thimble_quantities *tables, const uint8_t *text, size_t length)
{
    uint32_t low = 0, high = tables->block_count;
    while (high - low > 1) {
        const uint32_t middle = (low + high) / 2;
        if (compare(tables->morphemes + tables->starts[middle], text, length) <= 0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const uint8_t *entry = tables->morphemes + tables->starts[low], *end = tables->morphemes + tables->morpheme_bytes;
    for (unsigned i = 0; i < THIMBLE_MORPHEME_BLOCK && entry < end; i++) {
        const int order = compare(entry, text, length);
        if (order >= 0) {
            return order == 0 ? (uint16_t)(entry - tables->morphemes) : (uint16_t)NO_MORPHEME;
        }
        entry = classes_of(entry);
        while (!(entry[0] & LAST_CLASS)) {
            entry = next_class(entry);
        }
        entry = next_class(entry);
    }
    return NO_MORPHEME;
}

/* The value that an entry has in a class, or -1. */
static int32_t entry_sense(const thimble_quantities *tables, uint16_t entry, uint8_t class)
{
    if (entry >= DIGITS) {
        return -1;
    }
    for (const uint8_t *at = classes_of(tables->morphemes + entry);; at = next_class(at)) {
        if ((at[0] & ~(unsigned)LAST_CLASS) == class) {
            return class < LITERAL ? at[1] : 0;
        }
        if (at[0] & LAST_CLASS) {
            return -1;
        }
    }
}

/* A number in digits, such as "-5", "1.5", "1,500", "7:20". */
static bool read_digits(const uint8_t *text, size_t length, uint8_t decimal, morpheme *out)
{
    *out = (morpheme){.entry = DIGITS, .minutes = -1, .is_negative = text[0] == '-'};
    unsigned signs = 0, digits = 0, size = 0, first_size = 0, left = 0, part = 0;
    uint8_t first = 0, last = 0;
    bool is_even = true; /* whether all groups between the first and the last have three digits */
    int64_t value = 0;
    for (size_t i = out->is_negative; i < length; i++) {
        unsigned digit = (unsigned)text[i] - '0';
        if (digit <= 9) {
            if (++digits > MAX_DIGITS) {
                return false;
            }
            value = value * 10 + digit;
            part = part < 100 ? part * 10 + digit : 255; /* only small ones count */
            size++;
            continue;
        }
        if (size == 0) {
            return false;
        }
        if (signs++ == 0) {
            first = text[i];
            first_size = size;
            left = part;
        } else {
            is_even &= size == 3;
            if (last != first) {
                return false;
            }
        }
        last = text[i];
        size = part = 0;
    }
    if (size == 0) {
        return false;
    }
    if (first == ':' || last == ':') {
        out->minutes = (int16_t)(left * 60 + part);
        return signs == 1 && !out->is_negative && first_size <= 2 && size == 2 && left <= 24 && part <= 59;
    }
    bool has_decimals =
        signs == 1 ? first == decimal || size != 3 || first_size > 3 || (first_size == 1 && left == 0) : last != first;
    if (signs > has_decimals && (first_size > 3 || !is_even || (!has_decimals && size != 3))) {
        return false;
    }
    int64_t unit = ONE;
    for (unsigned i = 0; i < size && has_decimals; i++) {
        unit /= 10;
    }
    if ((has_decimals && size > 6) || value / (ONE / unit) > LARGEST) {
        return false;
    }
    out->value = (out->is_negative ? -value : value) * unit;
    out->is_pair = signs == 1;
    out->is_whole = !has_decimals;
    out->left = (uint8_t)(left < 255 ? left : 255);
    out->right = (uint8_t)(part < 255 ? part : 255);
    out->right_digits = (uint8_t)(signs == 1 ? size : digits);
    return true;
}

static bool is_digit_or_sign(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || byte == '.' || byte == ',' || byte == ':';
}

/* Splits the rest of a word into morphemes, the longest first; how many there are, 0 if it cannot be split. */
static unsigned split_rest(const thimble_quantities *tables, const uint8_t *text, size_t length, size_t start,
                           morpheme *out, unsigned count)
{
    if (start == length) {
        return count;
    }
    if (count == MAX_WORD_MORPHEMES) {
        return 0;
    }
    size_t end = start + (start == 0 && text[0] == '-');
    while (end < length && is_digit_or_sign(text[end])) {
        end++;
    }
    if (end > start) {
        if (!read_digits(text + start, end - start, tables->decimal, &out[count])) {
            return 0;
        }
        out[count].is_last = end == length;
        return split_rest(tables, text, length, end, out, count + 1);
    }
    size_t longest = length - start < tables->longest ? length - start : tables->longest;
    for (end = start + longest; end > start; end--) {
        uint16_t entry = find(tables, text + start, end - start);
        if (entry == NO_MORPHEME) {
            continue;
        }
        bool before_digit = end < length && text[end] >= '0' && text[end] <= '9';
        if (!(tables->morphemes[entry] & GLUED) && !(before_digit && entry_sense(tables, entry, ABBREVIATION) >= 0)) {
            continue;
        }
        out[count] = (morpheme){.entry = entry, .minutes = -1, .is_last = end == length};
        unsigned all = split_rest(tables, text, length, end, out, count + 1);
        if (all) {
            return all;
        }
    }
    return 0;
}

/* The morphemes of a word; at least one, which is none of the table where it holds anything else. */
static unsigned split(const reader *r, uint16_t word, morpheme *out)
{
    const uint8_t *text = r->words->text + r->words->start[word];
    size_t length = (size_t)(r->words->end[word] - r->words->start[word]);
    *out = (morpheme){.entry = find(r->tables, text, length), .minutes = -1, .is_last = true};
    if (out->entry != NO_MORPHEME) {
        return 1;
    }
    unsigned count = length > 0 && length <= MAX_WORD_BYTES ? split_rest(r->tables, text, length, 0, out, 0) : 0;
    if (count) {
        return count;
    }
    *out = (morpheme){.entry = NO_MORPHEME, .minutes = -1, .is_last = true};
    return 1;
}

static const morpheme no_morpheme = {.entry = NO_MORPHEME, .minutes = -1, .is_last = true};

/* A morpheme from the quantity's first word on. */
static const morpheme *get(reader *r, unsigned index)
{
    while (index >= r->count) {
        if (r->next_word >= r->words->count || r->count >= MAX_MORPHEMES) {
            return &no_morpheme;
        }
        morpheme pieces[MAX_WORD_MORPHEMES];
        unsigned count = split(r, r->next_word++, pieces);
        for (unsigned i = 0; i < count && r->count < MAX_MORPHEMES; i++) {
            r->morphemes[r->count++] = pieces[i];
        }
    }
    return &r->morphemes[index];
}

static int32_t sense(reader *r, unsigned index, uint8_t class)
{
    return entry_sense(r->tables, get(r, index)->entry, class);
}

static bool has(reader *r, unsigned index, uint8_t class)
{
    return sense(r, index, class) >= 0;
}

static bool is_digits(reader *r, unsigned index)
{
    return get(r, index)->entry == DIGITS;
}

/* Words up to a morpheme, 0 where that is inside of a word. */
static uint8_t count_words(const reader *r, unsigned end)
{
    uint8_t count = 0;
    for (unsigned i = 0; i < end; i++) {
        count = (uint8_t)(count + r->morphemes[i].is_last);
    }
    return end > 0 && r->morphemes[end - 1].is_last ? count : 0;
}

/* Whether a word has one of the classes, or none of them. */
static bool fits(const reader *r, int32_t word, const uint8_t *classes, unsigned count, bool negated)
{
    if (count == 0) {
        return true;
    }
    bool is_inside = word >= 0 && word < r->words->count, any = false;
    uint16_t entry = NO_MORPHEME;
    if (is_inside) {
        entry = find(r->tables, r->words->text + r->words->start[word],
                     (size_t)(r->words->end[word] - r->words->start[word]));
    }
    for (unsigned i = 0; i < count; i++) {
        any |= is_inside ? entry_sense(r->tables, entry, classes[i]) >= 0 : classes[i] == AT_END;
    }
    return any != negated;
}

/* Numbers */

/* A single number word, or "ten-seven". */
static unsigned below_twenty(reader *r, unsigned start, int32_t *value)
{
    *value = sense(r, start, NUMBER);
    if (*value < 0) {
        *value = 0;
        return start;
    }
    if (*value == 10 && r->tables->number_style & TEENS) {
        int32_t unit = sense(r, start + 1, NUMBER);
        if (unit >= 7 && unit <= 9) {
            *value += unit;
            return start + 2;
        }
    }
    return start + 1;
}

static unsigned below_hundred(reader *r, unsigned start, int32_t *value)
{
    uint8_t style = r->tables->number_style;
    unsigned end = below_twenty(r, start, value);
    if (style & UNITS_FIRST) {
        if (*value < 1 || *value > 9 || !has(r, end, AND)) {
            return end;
        }
        int32_t tens = sense(r, end + 1, NUMBER);
        if (tens < 20 || tens % 10) {
            return end;
        }
        *value += tens;
        return end + 2;
    }
    if (*value == 4 && style & SCORES && sense(r, end, NUMBER) == 20) {
        *value = 80;
        end++;
    }
    if (*value < 20 || *value % 10) {
        return end;
    }
    int32_t unit;
    unsigned behind = below_twenty(r, end + (unsigned)(style & AND_IN_TENS && has(r, end, AND)), &unit);
    if (unit < 1 || unit > (style & TEENS && (*value == 60 || *value == 80) ? 19 : 9)) {
        return end;
    }
    *value += unit;
    return behind;
}

/* Below 1000, or below 10,000 in hundreds ("fifteen hundred"). */
static unsigned group(reader *r, unsigned start, int32_t *value)
{
    unsigned end = below_hundred(r, start, value);
    if (end == start && has(r, start, ARTICLE) && has(r, start + 1, POWER)) {
        *value = 1;
        end++;
    }
    int32_t hundreds = sense(r, start, HUNDREDS);
    if (hundreds >= 0) {
        *value = hundreds * 100;
        end = start + 1;
    } else if (sense(r, end, POWER) != 0 || (end > start && *value == 0)) {
        return end;
    } else {
        *value = (end > start ? *value : 1) * 100;
        end++;
    }
    unsigned begin = end + (unsigned)has(r, end, AND);
    int32_t rest;
    unsigned behind = below_hundred(r, begin, &rest);
    if (behind == begin || rest == 0) {
        return end;
    }
    *value += rest;
    return behind;
}

static unsigned read_fraction(reader *r, unsigned index, int64_t *value)
{
    int32_t fraction = sense(r, index, FRACTION);
    if (fraction < 0) {
        return 0;
    }
    *value = ONE / r->tables->fractions[fraction][1] * r->tables->fractions[fraction][0];
    return index + 1;
}

/* A number without sign and fraction in words, or in digits with its sign; returns its end, `start` where none is. */
static unsigned cardinal(reader *r, unsigned start, int64_t *value)
{
    const morpheme *digits = get(r, start);
    *value = 0;
    if (digits->entry == DIGITS) {
        if (digits->minutes >= 0) {
            return start;
        }
        *value = digits->value;
        int32_t power = sense(r, start + 1, POWER);
        if (power >= 0 && *value > 0 && *value <= LARGEST * ONE / powers[power] && *value * powers[power] % ONE == 0) {
            *value *= powers[power];
            return start + 2;
        }
        return start + 1;
    }
    int32_t limit = LARGEST + 1, total = 0;
    unsigned end = start;
    for (;;) {
        unsigned begin = end + (end > start && has(r, end, AND));
        int32_t count;
        unsigned behind = group(r, begin, &count);
        int32_t power = sense(r, behind, POWER);
        if (power > 0 && powers[power] < limit && (count || behind == begin)) {
            count = count ? count : 1;
            if (count > (LARGEST - total) / powers[power] || count * powers[power] >= limit) {
                break;
            }
            limit = powers[power];
            total += count * limit;
            end = behind + 1u;
            continue;
        }
        if (behind > begin && count < limit && (count || end == start)) {
            total += count;
            end = behind;
        }
        break;
    }
    *value = total * ONE;
    return end;
}

/* Decimals in words behind a whole number: "point two five". */
static bool add_decimals(reader *r, number *whole)
{
    unsigned end = whole->end + 1;
    if (!has(r, whole->end, POINT)) {
        return false;
    }
    const morpheme *digits = get(r, end);
    int64_t unit = ONE;
    if (digits->entry == DIGITS) {
        if (!digits->is_whole || digits->is_negative || digits->right_digits > 3) {
            return false;
        }
        for (uint8_t i = 0; i < digits->right_digits; i++) {
            unit /= 10;
        }
        whole->value += digits->value / ONE * unit;
        whole->end = end + 1;
        return true;
    }
    int32_t value;
    unsigned behind = below_hundred(r, end, &value);
    if (behind == end) {
        return false;
    }
    whole->end = behind;
    if (value >= 10) {
        whole->value += value * (ONE / 100);
        return true;
    }
    do {
        unit /= 10;
        whole->value += value * unit;
        end = whole->end;
        whole->end = below_hundred(r, end, &value);
    } while (whole->end > end && value < 10 && unit > ONE / 1000);
    whole->end = end;
    return true;
}

static unsigned skip_of_and_article(reader *r, unsigned end)
{
    end += has(r, end, OF);
    return end + has(r, end, ARTICLE);
}

static bool is_one(reader *r, unsigned index)
{
    return has(r, index, ARTICLE) || sense(r, index, NUMBER) == 1;
}

/* A fraction behind a whole number: added ("two and a half", "2 1/2" as one sign) or as a numerator. */
static bool add_fraction(reader *r, number *whole, bool is_amount)
{
    unsigned end = whole->end;
    bool has_and = has(r, end, AND);
    end += has_and;
    bool has_one = is_one(r, end);
    end += has_one;
    int64_t fraction;
    bool is_sign = has(r, end, SIGN);
    end = read_fraction(r, end, &fraction);
    bool is_added = has_one || is_sign || (has_and && r->tables->number_style & AND_FRACTION);
    if (!end || fraction >= ONE || (has_and && !is_added)) {
        return false;
    }
    if (is_added) {
        whole->value += fraction;
    } else {
        if (whole->value < ONE || ONE % fraction || whole->value >= ONE / fraction * ONE) {
            return false;
        }
        whole->value = whole->value / ONE * fraction;
        if (is_amount) {
            end = skip_of_and_article(r, end);
        }
    }
    whole->end = end;
    return true;
}

/* Whether a number begins there; a bare fraction, and an article alone, do so in an amount. */
static bool read_number(reader *r, unsigned start, bool is_amount, number *n)
{
    bool negative = has(r, start, MINUS);
    start += negative;
    n->is_article = n->is_plain = false;
    n->end = read_fraction(r, start, &n->value);
    if (n->end) {
        if (is_amount) {
            n->end = skip_of_and_article(r, n->end);
        } else if (n->value < ONE && !has(r, start, SIGN)) {
            return false;
        }
    } else {
        bool is_article = has(r, start, ARTICLE);
        n->end = cardinal(r, start, &n->value);
        if (n->end == start && is_amount && is_article) {
            n->value = ONE;
            n->end++;
        }
        if (n->end == start || (negative && n->value < 0)) {
            return false;
        }
        bool is_whole = n->value % ONE == 0 && n->value >= 0;
        if (!is_whole || !(add_decimals(r, n) || add_fraction(r, n, is_amount))) {
            n->is_article = n->end == start + 1 && is_article;
            n->is_plain = is_whole && !negative;
        }
    }
    if (negative) {
        n->value = -n->value;
    }
    return true;
}

/* The whole number that a fraction is added to: the hour of "otto e mezza". */
static bool read_before_fraction(reader *r, unsigned start, number *n)
{
    n->end = cardinal(r, start, &n->value);
    n->is_article = n->end == start + 1 && has(r, start, ARTICLE);
    n->is_plain = n->end != start && n->value % ONE == 0 && n->value >= 0 && !has(r, n->end, POINT);
    return n->is_plain;
}

static unsigned read_ordinal(reader *r, unsigned start, int64_t *value)
{
    *value = sense(r, start, ORDINAL);
    if (*value >= 0) {
        const int32_t unit = sense(r, start + 1, ORDINAL);
        if ((*value == 20 || *value == 30) && unit >= 1 && unit <= 9) {
            *value += unit; /* "dwudziestego pierwszego" */
            return start + 2;
        }
        return start + 1;
    }
    int32_t tens = sense(r, start, NUMBER);
    if (tens >= 20 && tens % 10 == 0) {
        int32_t unit = sense(r, start + 1, ORDINAL);
        if (unit >= 1 && unit <= 9) {
            *value = tens + unit;
            return start + 2;
        }
    }
    unsigned end = cardinal(r, start, value);
    if (end == start || *value % ONE || !has(r, end, ORDINAL_SUFFIX)) {
        return 0;
    }
    *value /= ONE;
    return end + 1;
}

/* Patterns */

typedef struct {
    const uint8_t *before, *after, *items, *end;
    uint8_t before_count, after_count, kind, flags;
    int8_t value;
} pattern;

static pattern read_pattern(const uint8_t *at)
{
    pattern p = {.kind = at[1] & KIND, .flags = at[1], .value = (int8_t)at[2], .end = at + at[0]};
    p.before_count = at[3] >> 4;
    p.after_count = at[3] & 0x0F;
    p.before = at + 4;
    p.after = p.before + p.before_count;
    p.items = p.after + p.after_count;
    return p;
}

static bool fits_before(const reader *r, const pattern *p, int32_t word)
{
    return fits(r, word, p->before, p->before_count, (p->flags & NOT_BEFORE) != 0);
}

static unsigned match(reader *r, const pattern *p, const uint8_t *item, unsigned start, captured *c);

/* The longest phrase of a part of the day, the first of equals. */
static unsigned match_part(reader *r, unsigned start, captured *c)
{
    unsigned longest = 0;
    c->part = -1;
    if (get(r, start)->entry >= DIGITS) {
        return 0;
    }
    int32_t word = r->first + count_words(r, start);
    const uint8_t *at = r->tables->patterns;
    int32_t part = -1;
    for (uint16_t i = 0; i < r->tables->pattern_count; i++, at += at[0]) {
        pattern p = read_pattern(at);
        if (p.kind != PART || !has(r, start, p.items[0]) || !fits_before(r, &p, word - 1)) {
            continue;
        }
        unsigned end = match(r, &p, p.items, start, c);
        if (end > start && end > longest) {
            longest = end;
            part = p.value;
        }
    }
    c->part = part;
    return longest;
}

static bool has_limits(uint8_t type)
{
    return type == AN_HOUR || type == ANY_HOUR || type == A_MINUTE;
}

/* The end of what an item matches, 0: nothing. */
static unsigned match_item(reader *r, const uint8_t *item, unsigned start, captured *c)
{
    uint8_t type = item[0] & (uint8_t)~(unsigned)OPTIONAL;
    if (type < A_NUMBER || type >= LITERAL) {
        int32_t value = sense(r, start, type);
        if (value < 0) {
            return 0;
        }
        if (type == MOMENT) {
            c->hour = value / 2;
            c->minute = value % 2 * 30;
        } else if (type == MONTH) {
            c->month = value;
        } else if (type == DATE) {
            c->date = value;
        }
        return start + 1;
    }
    const morpheme *m = get(r, start);
    if (type == A_CLOCK) {
        if (m->minutes < 0) {
            return 0;
        }
        c->hour = m->minutes / 60;
        c->minute = m->minutes % 60;
        return start + 1;
    }
    if (type == A_DOTTED || type == A_DAY_MONTH) {
        if (!m->is_pair || m->is_negative) {
            return 0;
        }
        if (type == A_DOTTED) {
            if (m->left > 24 || m->right > 59 || m->right_digits != 2) {
                return 0;
            }
            c->hour = m->left;
            c->minute = m->right;
            return start + 1;
        }
        if (m->left < 1 || m->left > 31 || m->right < 1 || m->right > 12 || m->right_digits > 2) {
            return 0;
        }
        c->day = m->left;
        c->month = m->right;
        return start + 1;
    }
    if (type == A_PART) {
        return match_part(r, start, c);
    }
    if (type == A_FRACTION) {
        return read_fraction(r, start, &c->value);
    }
    if (type == A_DAY || type == AN_ORDINAL) {
        int64_t day;
        unsigned end = read_ordinal(r, start, &day);
        if (!end && type == A_DAY) {
            number n;
            if (read_number(r, start, false, &n) && n.is_plain && !n.is_article) {
                day = n.value / ONE;
                end = n.end;
            }
        }
        if (!end || day < 1 || day > 31) {
            return 0;
        }
        c->day = c->hour = (int32_t)day;
        return end;
    }
    number n;
    if (!read_number(r, start, type == AN_AMOUNT, &n)) {
        return 0;
    }
    if (has_limits(type) && !n.is_plain && !read_before_fraction(r, start, &n)) {
        return 0;
    }
    if (n.is_article && type != AN_AMOUNT && type != ANY_HOUR) {
        return 0;
    }
    if (!has_limits(type)) {
        c->value = n.value;
        return n.end;
    }
    int32_t value = (int32_t)(n.value / ONE);
    if (!n.is_plain || value < item[1] || value > item[2] || value % item[3]) {
        return 0;
    }
    if (type == A_MINUTE) {
        c->minute = value;
    } else {
        c->hour = value;
    }
    return n.end;
}

/* The end of the longest match of the items from one on, 0: none. */
static unsigned match(reader *r, const pattern *p, const uint8_t *item, unsigned start, captured *c)
{
    if (item == p->end) {
        if (start == 0 || !r->morphemes[start - 1].is_last) {
            return 0;
        }
        if (p->kind == THIMBLE_TIME && (has(r, start, UNIT) || has(r, start, ABBREVIATION))) {
            return 0;
        }
        int32_t behind = r->first + count_words(r, start);
        return fits(r, behind, p->after, p->after_count, (p->flags & NOT_AFTER) != 0) ? start : 0;
    }
    const uint8_t *next = item + (has_limits(item[0] & (uint8_t)~(unsigned)OPTIONAL) ? 4 : 1);
    unsigned end = match_item(r, item, start, c);
    if (end) {
        unsigned matched = match(r, p, next, end, c);
        if (matched) {
            return matched;
        }
    }
    if (!(item[0] & OPTIONAL)) {
        return 0;
    }
    if (item[0] == (A_PART | OPTIONAL)) {
        c->part = -1;
    }
    return match(r, p, next, start, c);
}

/* Values as text */

static void put(thimble_quantity *q, char character)
{
    if (q->value_length < THIMBLE_MAX_QUANTITY_BYTES) {
        q->value[q->value_length++] = (uint8_t)character;
    }
}

static void put_number(thimble_quantity *q, uint32_t value, unsigned digits)
{
    char text[10];
    unsigned count = 0;
    for (; value || count < digits; value /= 10) {
        text[count++] = (char)('0' + value % 10);
    }
    while (count) {
        put(q, text[--count]);
    }
}

/* With at most six decimals, no zeros at the end. */
static void put_decimal(thimble_quantity *q, int64_t value)
{
    if (value < 0) {
        put(q, '-');
        value = -value;
    }
    put_number(q, (uint32_t)(value / ONE), 1);
    uint32_t decimals = (uint32_t)(value % ONE + 6) / 12;
    if (decimals) {
        put(q, '.');
        put_number(q, decimals, 6);
        while (q->value[q->value_length - 1] == '0') {
            q->value_length--;
        }
    }
}

/* Writes what a match means; false: it means nothing. */
static bool put_value(const reader *r, const pattern *p, const captured *c, thimble_quantity *q)
{
    q->value_length = 0;
    if (p->kind == THIMBLE_TIME) {
        int32_t hour = c->hour;
        if (hour > 24) {
            return false;
        }
        if (c->part >= 0 && hour <= 12) {
            const uint8_t *part = r->tables->day_parts[c->part];
            hour = hour == 12 ? part[1] : hour >= part[0] ? hour + 12 : hour;
        }
        int32_t minutes = hour * 60 + p->value + (p->flags & BACKWARDS ? -c->minute : c->minute);
        minutes = (minutes + MINUTES_OF_DAY) % MINUTES_OF_DAY;
        put_number(q, (uint32_t)minutes / 60, 2);
        put(q, ':');
        put_number(q, (uint32_t)minutes % 60, 2);
    } else if (p->kind == THIMBLE_DATE) {
        int32_t date = p->value >= 0 ? p->value : c->date;
        if (date >= 0) {
            for (const char *text = r->tables->dates[date]; *text; text++) {
                put(q, *text);
            }
            return true;
        }
        if (c->month && c->day > month_days[c->month - 1]) {
            return false;
        }
        put(q, '-');
        put(q, '-');
        if (c->month) {
            put_number(q, (uint32_t)c->month, 2);
        }
        put(q, '-');
        put_number(q, (uint32_t)c->day, 2);
    } else if (p->kind != NONE) {
        put_decimal(q, c->value);
    }
    return true;
}

/* Durations */

/* Adds an amount of a unit, its fraction in smaller ones; false where that is no whole number of seconds. */
static bool add_duration(uint32_t *parts, int64_t value, int32_t unit)
{
    int64_t rest = value % ONE * unit_seconds[unit];
    if (rest % ONE) {
        return false;
    }
    int32_t seconds = (int32_t)(rest / ONE);
    parts[unit] += (uint32_t)(value / ONE);
    for (int32_t smaller = unit + 1; smaller < 5; smaller++) {
        parts[smaller] += (uint32_t)(seconds / unit_seconds[smaller]);
        seconds %= unit_seconds[smaller];
    }
    return true;
}

/* Index of the unit behind a number, -1: none. */
static int32_t read_unit(reader *r, unsigned index)
{
    int32_t unit = sense(r, index, UNIT);
    if (unit < 0 && is_digits(r, index - 1)) {
        unit = sense(r, index, ABBREVIATION);
    }
    return unit;
}

/* What may follow the last unit: "and a half", or a number of the next unit ("1h30"); 0: nothing of that. */
static unsigned end_duration(reader *r, unsigned start, int32_t unit, uint32_t *parts)
{
    if (has(r, start, AND)) {
        int64_t fraction;
        const bool has_one = is_one(r, start + 1);
        if (!has_one && !(r->tables->number_style & AND_FRACTION)) {
            return 0;
        }
        const unsigned end = read_fraction(r, start + 1 + has_one, &fraction);
        if (!end || read_unit(r, end) >= 0) {
            return 0;
        }
        return fraction < ONE && add_duration(parts, fraction, unit) ? end : 0;
    }
    if (unit != 2 && unit != 3) {
        return 0;
    }
    number n;
    if (!read_number(r, start, false, &n) || !n.is_plain || n.value < 10 * ONE || n.value > 59 * ONE) {
        return 0;
    }
    if (r->morphemes[start - 1].is_last && get(r, n.end)->entry != NO_MORPHEME) {
        return 0; /* "2 hours 20 percent" */
    }
    parts[unit + 1] += (uint32_t)(n.value / ONE);
    return n.end;
}

/* The end of a duration, 0: none. */
static unsigned read_duration(reader *r, uint32_t *best_parts)
{
    uint32_t parts[5] = {0};
    unsigned start = 0, best = 0;
    int32_t previous = -1;
    for (;;) {
        unsigned begin = start + (start && has(r, start, AND));
        const bool is_unit = has(r, begin, ARTICLE) && has(r, begin, UNIT); /* "godzinę": an hour */
        number n = {.value = ONE, .end = begin};
        int32_t unit = is_unit || read_number(r, begin, true, &n) ? read_unit(r, n.end) : -1;
        if (unit <= previous || n.value < 0 || !add_duration(parts, n.value, unit)) {
            break;
        }
        start = n.end + 1u;
        previous = unit;
        if (r->morphemes[start - 1].is_last) {
            best = start;
            memcpy(best_parts, parts, sizeof parts);
        }
    }
    unsigned end = start ? end_duration(r, start, previous, parts) : 0;
    if (end && r->morphemes[end - 1].is_last) {
        best = end;
        memcpy(best_parts, parts, sizeof parts);
    }
    return best;
}

static void put_duration(thimble_quantity *q)
{
    static const char letters[5] = {'W', 'D', 'H', 'M', 'S'};
    q->value_length = 0;
    put(q, 'P');
    for (unsigned unit = 0; unit < 5; unit++) {
        if (unit == 2 && (q->parts[2] || q->parts[3] || q->parts[4] || q->value_length == 1)) {
            put(q, 'T');
        }
        if (q->parts[unit] || (unit == 4 && q->value[q->value_length - 1] == 'T')) {
            put_number(q, q->parts[unit], 1);
            put(q, letters[unit]);
        }
    }
}

bool thimble_quantity_at(const thimble_quantities *tables, const thimble_words *words, uint16_t index,
                         thimble_quantity *quantity)
{
    reader r = {.tables = tables, .words = words, .first = index, .next_word = index};
    if (get(&r, 0)->entry == NO_MORPHEME) {
        return false;
    }
    memset(quantity, 0, sizeof *quantity);
    const uint8_t *at = tables->patterns;
    for (uint16_t i = 0; i < tables->pattern_count; i++, at += at[0]) {
        pattern p = read_pattern(at);
        if (p.kind == PART || !fits_before(&r, &p, index - 1)) {
            continue;
        }
        captured c = {.part = -1, .date = -1};
        uint8_t count = count_words(&r, match(&r, &p, p.items, 0, &c));
        thimble_quantity found = {.kind = p.kind, .count = count};
        if (count > quantity->count && put_value(&r, &p, &c, &found)) {
            *quantity = found;
        }
    }
    uint32_t parts[5];
    unsigned end = read_duration(&r, parts);
    if (end && count_words(&r, end) >= quantity->count) {
        quantity->kind = THIMBLE_DURATION;
        quantity->count = count_words(&r, end);
        memcpy(quantity->parts, parts, sizeof parts);
        put_duration(quantity);
    }
    return quantity->kind != NONE;
}
