/* Write BSON documents as JSON objects, without a Python object for each value.
 *
 * All functions take documents that MongoDB may have damaged: every length is checked before it is used. A document
 * that they do not support (a missing field, another type, invalid UTF-8) is never an error here. The caller decodes it
 * with the driver and completes it in Python, which is the reference.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* The version of the arguments. The caller ignores an extension with another version. */
#define VERSION 1

enum { STRING = 0x02, DOCUMENT = 0x03, ARRAY = 0x04, NULL_VALUE = 0x0A, INT32 = 0x10, INT64 = 0x12 };
enum form { TEXT, INTEGER, INSTANT, CHOICE, BASE64, FORMS };

static const int64_t DAY = 86400000, YEAR_10000 = 253402300800000;

typedef struct {
    const char *at;
    Py_ssize_t size;
} Bytes;

/* One selected value of a document. `type` is 0 if the document does not have it. */
typedef struct {
    int type;
    Bytes text;
    int64_t number;
} Value;

/* Names of fields. `order` remembers which name each element of the last document had: usually it is the same again. */
enum { REMEMBERED = 128 };
typedef struct {
    Bytes *names;
    Py_ssize_t count;
    Py_ssize_t order[REMEMBERED];
} Names;

static int to_bytes(PyObject *object, Bytes *found) {
    char *at;
    if (object == NULL || PyBytes_AsStringAndSize(object, &at, &found->size) < 0) return -1;
    found->at = at;
    return 0;
}

static uint32_t read_u32(const char *at) {
    const unsigned char *b = (const unsigned char *)at;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static int64_t read_i64(const char *at) {
    return (int64_t)(read_u32(at) | (uint64_t)read_u32(at + 4) << 32);
}

/* Return the size of the UTF-8 sequence at `at`, or 0 if it is invalid. The rules are those of Python: RFC 3629. */
static Py_ssize_t sequence(const unsigned char *at, Py_ssize_t left) {
    unsigned char low = 0x80, high = 0xBF;
    Py_ssize_t size;
    if (at[0] < 0x80) return 1;
    if (at[0] < 0xC2 || at[0] > 0xF4) return 0;
    size = at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : 4;
    if (size > left) return 0;
    if (at[0] == 0xE0) low = 0xA0;
    if (at[0] == 0xED) high = 0x9F;
    if (at[0] == 0xF0) low = 0x90;
    if (at[0] == 0xF4) high = 0x8F;
    if (at[1] < low || at[1] > high) return 0;
    for (Py_ssize_t i = 2; i < size; i++)
        if (at[i] < 0x80 || at[i] > 0xBF) return 0;
    return size;
}

/* Return how many bytes from `at` on are ASCII that JSON shows unchanged. Eight bytes are tested at once: a byte's high
 * bit is set in `other` if it is not ASCII, below 0x20, a quote or a backslash. Borrows can only add to the others. */
static Py_ssize_t plain(const char *at, Py_ssize_t left) {
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    Py_ssize_t done = 0;
    for (; left - done >= 8; done += 8) {
        uint64_t bytes, other;
        memcpy(&bytes, at + done, 8);
        other = bytes | (bytes - ones * 0x20) | ((bytes ^ ones * '"') - ones) | ((bytes ^ ones * '\\') - ones);
        if (other & high) break;
    }
    while (done < left && at[done] >= 0x20 && at[done] < 0x7F && at[done] != '"' && at[done] != '\\') done++;
    return done;
}

static int is_utf8(Bytes text) {
    for (Py_ssize_t at = 0, size; at < text.size; at += size) {
        at += plain(text.at + at, text.size - at);
        if (at == text.size) break;
        if (!(size = sequence((const unsigned char *)text.at + at, text.size - at))) return 0;
    }
    return 1;
}

static Py_ssize_t find_name(Names *names, Py_ssize_t element, Bytes name) {
    Py_ssize_t guess = element < REMEMBERED ? names->order[element] : 0;
    if (names->count == 0) return -1;
    for (Py_ssize_t i = -1; i < names->count; i++) {
        Py_ssize_t at = i < 0 ? guess : i;
        if (names->names[at].size == name.size && !memcmp(names->names[at].at, name.at, (size_t)name.size)) {
            if (element < REMEMBERED) names->order[element] = at;
            return at;
        }
    }
    return -1;
}

/* Read one element at `at` into `value`. Return the end of the element, or NULL if it is not supported. */
static const char *read_element(const char *at, const char *end, int type, Value *value) {
    value->type = type;
    switch (type) {
    case NULL_VALUE:
        return at;
    case INT32:
        if (end - at < 4) return NULL;
        value->number = (int32_t)read_u32(at);
        return at + 4;
    case INT64:
        if (end - at < 8) return NULL;
        value->number = read_i64(at);
        return at + 8;
    case STRING: {
        if (end - at < 4) return NULL;
        uint32_t size = read_u32(at);
        at += 4;
        if (size < 1 || size > (uint64_t)(end - at) || at[size - 1] != 0) return NULL;
        value->text = (Bytes){at, (Py_ssize_t)size - 1};
        return at + size;
    }
    default:
        return NULL;
    }
}

static int is_document(Bytes bytes) {
    return bytes.size >= 5 && bytes.size <= INT32_MAX && read_u32(bytes.at) == (uint32_t)bytes.size
           && bytes.at[bytes.size - 1] == 0;
}

/* Find the named values of a document: texts are valid UTF-8. Return 0, or -1 if the document is not supported. */
static int read_document(Bytes document, Names *names, Value *values) {
    if (!is_document(document)) return -1;
    const char *at = document.at + 4, *end = document.at + document.size - 1;
    memset(values, 0, (size_t)names->count * sizeof(Value));
    for (Py_ssize_t element = 0; at < end; element++) {
        int type = (unsigned char)*at++;
        const char *zero = memchr(at, 0, (size_t)(end - at));
        Value value = {0};
        if (zero == NULL) return -1;
        Bytes name = {at, zero - at};
        if ((at = read_element(zero + 1, end, type, &value)) == NULL) return -1;
        Py_ssize_t found = find_name(names, element, name);
        /* The driver checks all texts, also those that are not shown, and uses the last of several values. */
        if (!is_utf8(value.text) || (found < 0 ? !is_utf8(name) : values[found].type != 0)) return -1;
        if (found >= 0) values[found] = value;
    }
    return 0;
}

/* Output that grows. */
typedef struct {
    char *at;
    size_t size, room;
} Output;

static int grow(Output *out, size_t more) {
    size_t room = (out->size + more) * 2;
    char *at = PyMem_Realloc(out->at, room);
    if (at == NULL) return -1;
    out->at = at;
    out->room = room;
    return 0;
}

static inline int put(Output *out, Bytes bytes) {
    if (out->room - out->size < (size_t)bytes.size && grow(out, (size_t)bytes.size) < 0) return -1;
    if (bytes.size) memcpy(out->at + out->size, bytes.at, (size_t)bytes.size);
    out->size += (size_t)bytes.size;
    return 0;
}

static int put_char(Output *out, char c) {
    return put(out, (Bytes){&c, 1});
}

/* The functions below return 1 if they wrote a value, 0 if it is not supported, and -1 without memory. */

static int put_text(Output *out, Bytes text) {
    static const char hex[] = "0123456789abcdef", letters[] = "btn\0fr";
    const unsigned char *at = (const unsigned char *)text.at;
    Py_ssize_t done = 0, next = 0;
    if (put_char(out, '"') < 0) return -1;
    while ((next += plain(text.at + next, text.size - next)) < text.size) {
        unsigned char c = at[next];
        if (c >= 0x20 && c != '"' && c != '\\') {
            next++;
            continue;
        }
        char escape[6] = {'\\', (char)c, '0', '0', 0, 0};
        Py_ssize_t size = 2;
        if (c >= '\b' && c <= '\r' && c != '\v') {
            escape[1] = letters[c - '\b'];
        } else if (c < 0x20) {
            escape[1] = 'u';
            escape[4] = hex[c >> 4];
            escape[5] = hex[c & 15];
            size = 6;
        }
        if (put(out, (Bytes){text.at + done, next - done}) < 0 || put(out, (Bytes){escape, size}) < 0) return -1;
        done = ++next;
    }
    return put(out, (Bytes){text.at + done, next - done}) < 0 || put_char(out, '"') < 0 ? -1 : 1;
}

static int put_integer(Output *out, int64_t number) {
    char digits[24];
    int at = sizeof digits;
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do
        digits[--at] = (char)('0' + left % 10);
    while (left /= 10);
    if (number < 0) digits[--at] = '-';
    return put(out, (Bytes){digits + at, (Py_ssize_t)sizeof digits - at}) < 0 ? -1 : 1;
}

static void write_digits(char *at, int64_t number, int count) {
    while (count--) {
        at[count] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* Write milliseconds since 1970 as RFC 3339. The date is computed with years that begin in March. */
static int put_instant(Output *out, int64_t at) {
    char text[] = "\"0000-00-00T00:00:00.000Z\"";
    if (at < 0 || at >= YEAR_10000) return 0;
    int64_t rest = at % DAY, day = at / DAY + 719468, era = day / 146097, of_era = day % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
    write_digits(text + 1, year + era * 400 + (month >= 10), 4);
    write_digits(text + 6, month < 10 ? month + 3 : month - 9, 2);
    write_digits(text + 9, of_year - (153 * month + 2) / 5 + 1, 2);
    write_digits(text + 12, rest / 3600000, 2);
    write_digits(text + 15, rest / 60000 % 60, 2);
    write_digits(text + 18, rest / 1000 % 60, 2);
    write_digits(text + 21, rest % 1000, 3);
    return put(out, (Bytes){text, sizeof text - 1}) < 0 ? -1 : 1;
}

/* Write the Base64 of a prefix and a text. */
static int put_base64(Output *out, Bytes prefix, Bytes text) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    Py_ssize_t size = prefix.size + text.size;
    if (put_char(out, '"') < 0) return -1;
    for (Py_ssize_t at = 0; at < size; at += 3) {
        unsigned char in[3] = {0};
        for (Py_ssize_t i = 0; i < 3 && at + i < size; i++)
            in[i] = (unsigned char)(at + i < prefix.size ? prefix.at[at + i] : text.at[at + i - prefix.size]);
        char four[4] = {letters[in[0] >> 2], letters[(in[0] & 3) << 4 | in[1] >> 4],
                        at + 1 < size ? letters[(in[1] & 15) << 2 | in[2] >> 6] : '=',
                        at + 2 < size ? letters[in[2] & 63] : '='};
        if (put(out, (Bytes){four, 4}) < 0) return -1;
    }
    return put_char(out, '"') < 0 ? -1 : 1;
}

/* One member of the JSON objects. `choices` are pairs of bytes: a value and its JSON text. */
typedef struct {
    Bytes head, prefix;
    Py_ssize_t name;
    int form, nullable;
    PyObject *choices;
} Member;

static int put_choice(Output *out, PyObject *choices, Bytes text) {
    for (Py_ssize_t i = 0; i + 1 < PyTuple_Size(choices); i += 2) {
        Bytes value, json;
        if (to_bytes(PyTuple_GetItem(choices, i), &value) < 0 || to_bytes(PyTuple_GetItem(choices, i + 1), &json) < 0)
            return -1;
        if (value.size == text.size && !memcmp(value.at, text.at, (size_t)text.size))
            return put(out, json) < 0 ? -1 : 1;
    }
    return 0;
}

static int put_value(Output *out, const Member *member, const Value *value) {
    int is_integer = value->type == INT32 || value->type == INT64;
    if (value->type == NULL_VALUE) return !member->nullable ? 0 : put(out, (Bytes){"null", 4}) < 0 ? -1 : 1;
    if (member->form == INSTANT) return is_integer ? put_instant(out, value->number) : 0;
    if (member->form == INTEGER) {
        int fits = value->number >= INT32_MIN && value->number <= INT32_MAX;
        return is_integer && fits ? put_integer(out, value->number) : 0;
    }
    if (value->type != STRING) return 0;
    if (member->form == CHOICE) return put_choice(out, member->choices, value->text);
    return member->form == TEXT ? put_text(out, value->text) : put_base64(out, member->prefix, value->text);
}

static int put_object(Output *out, Bytes document, Names *names, Value *values, const Member *members, Py_ssize_t count) {
    out->size = 0;
    if (read_document(document, names, values) < 0) return 0;
    for (Py_ssize_t i = 0; i < names->count; i++)
        if (values[i].type == 0) return 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (put(out, members[i].head) < 0) return -1;
        int written = put_value(out, &members[i], &values[members[i].name]);
        if (written <= 0) return written;
    }
    return 1;
}

/* Read the names of fields. The caller frees `names->names` and `values`, after an error, too. */
static int read_names(PyObject *tuple, Names *names, Value **values) {
    names->count = PyTuple_Size(tuple);
    if (names->count < 0) return -1;
    names->names = PyMem_Calloc((size_t)names->count + 1, sizeof(Bytes));
    *values = PyMem_Calloc((size_t)names->count + 1, sizeof(Value));
    if (names->names == NULL || *values == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < names->count; i++)
        if (to_bytes(PyTuple_GetItem(tuple, i), &names->names[i]) < 0) return -1;
    return 0;
}

static int read_member(PyObject *tuple, Py_ssize_t names, Member *member) {
    if (!PyArg_ParseTuple(tuple, "y#niiy#O!", &member->head.at, &member->head.size, &member->name, &member->form,
                          &member->nullable, &member->prefix.at, &member->prefix.size, &PyTuple_Type, &member->choices))
        return -1;
    if (member->name >= 0 && member->name < names && member->form >= 0 && member->form < FORMS) return 0;
    PyErr_SetString(PyExc_ValueError, "no such name or form");
    return -1;
}

static PyObject *write_objects(PyObject *documents, Names *names, Value *values, PyObject *members, Bytes tail) {
    Py_ssize_t count = PyTuple_Size(members), rows = PyTuple_Size(documents);
    Member *read = PyMem_Calloc((size_t)count + 1, sizeof(Member));
    PyObject *result = PyList_New(rows);
    Output out = {0};
    int status = read == NULL || result == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; i < count && status >= 0; i++)
        if (read_member(PyTuple_GetItem(members, i), names->count, &read[i]) < 0) status = -1;
    for (Py_ssize_t row = 0; row < rows && status >= 0; row++) {
        Bytes document;
        if (to_bytes(PyTuple_GetItem(documents, row), &document) < 0) status = -1;
        else if ((status = put_object(&out, document, names, values, read, count)) > 0 && put(&out, tail) < 0) status = -1;
        if (status < 0) break;
        PyObject *json = status ? PyBytes_FromStringAndSize(out.at, (Py_ssize_t)out.size) : Py_NewRef(Py_None);
        if (json == NULL || PyList_SetItem(result, row, json) < 0) status = -1;
    }
    PyMem_Free(read);
    PyMem_Free(out.at);
    if (status >= 0) return result;
    Py_XDECREF(result);
    return PyErr_Occurred() ? NULL : PyErr_NoMemory();
}

static PyObject *encode(PyObject *module, PyObject *args) {
    PyObject *documents, *fields, *members, *result = NULL;
    Names names = {0};
    Value *values = NULL;
    Bytes tail;
    if (!PyArg_ParseTuple(args, "O!O!O!y#", &PyTuple_Type, &documents, &PyTuple_Type, &fields, &PyTuple_Type, &members,
                          &tail.at, &tail.size))
        return NULL;
    if (read_names(fields, &names, &values) == 0) result = write_objects(documents, &names, values, members, tail);
    PyMem_Free(names.names);
    PyMem_Free(values);
    return result;
}

/* Return a value as a Python object, or NULL: with an exception, or without one if it is not supported. */
static PyObject *to_object(const Value *value) {
    if (value->type == NULL_VALUE) return Py_NewRef(Py_None);
    if (value->type == INT32 || value->type == INT64) return PyLong_FromLongLong(value->number);
    if (value->type != STRING) return NULL;
    return PyUnicode_DecodeUTF8(value->text.at, value->text.size, NULL);
}

static PyObject *values_of(const Value *values, Py_ssize_t count) {
    PyObject *row = PyTuple_New(count);
    for (Py_ssize_t i = 0; i < count && row != NULL; i++) {
        PyObject *object = to_object(&values[i]);
        if (object == NULL || PyTuple_SetItem(row, i, object) < 0) Py_CLEAR(row);
    }
    return row;
}

static PyObject *columns(PyObject *module, PyObject *args) {
    PyObject *documents, *fields, *result = NULL;
    Names names = {0};
    Value *values = NULL;
    if (!PyArg_ParseTuple(args, "O!O!", &PyTuple_Type, &documents, &PyTuple_Type, &fields)) return NULL;
    if (read_names(fields, &names, &values) == 0) result = PyList_New(0);
    for (Py_ssize_t i = 0; result != NULL && i < PyTuple_Size(documents); i++) {
        Bytes document;
        PyObject *row = NULL;
        if (to_bytes(PyTuple_GetItem(documents, i), &document) == 0 && read_document(document, &names, values) == 0)
            row = values_of(values, names.count);
        if (row == NULL || PyList_Append(result, row) < 0) Py_CLEAR(result);
        Py_XDECREF(row);
    }
    PyMem_Free(names.names);
    PyMem_Free(values);
    return result != NULL || PyErr_Occurred() ? result : Py_NewRef(Py_None);
}

/* Add the documents of an array to a list. Return 1, 0 if the array is damaged, or -1 with an exception. */
static int add_documents(Bytes array, PyObject *list) {
    if (!is_document(array)) return 0;
    const char *at = array.at + 4, *end = array.at + array.size - 1;
    while (at < end) {
        const char *zero = memchr(at, 0, (size_t)(end - at));
        if (*at != DOCUMENT || zero == NULL || (at = zero + 1, end - at < 5)) return 0;
        uint32_t size = read_u32(at);
        if (size < 5 || size > (uint64_t)(end - at)) return 0;
        PyObject *document = PyBytes_FromStringAndSize(at, (Py_ssize_t)size);
        int status = document == NULL ? -1 : PyList_Append(list, document);
        Py_XDECREF(document);
        if (status < 0) return -1;
        at += size;
    }
    return 1;
}

static PyObject *split(PyObject *module, PyObject *cursor) {
    static const char batch[] = "firstBatch", id[] = "id";
    int is_complete = 0, status = 1;
    Bytes reply;
    if (to_bytes(cursor, &reply) < 0) return NULL;
    if (!is_document(reply)) return Py_NewRef(Py_None);
    PyObject *list = PyList_New(0);
    const char *at = reply.at + 4, *end = reply.at + reply.size - 1;
    if (list == NULL) return NULL;
    while (status > 0 && at < end) {
        int type = (unsigned char)*at;
        const char *name = at + 1, *zero = memchr(name, 0, (size_t)(end - name));
        Value value = {0};
        if (zero == NULL) break;
        if (type == ARRAY && !strcmp(name, batch) && end - zero > 4 && read_u32(zero + 1) <= (uint64_t)(end - zero - 1)) {
            Bytes array = {zero + 1, (Py_ssize_t)read_u32(zero + 1)};
            status = add_documents(array, list);
            at = array.at + array.size;
        } else if ((at = read_element(zero + 1, end, type, &value)) == NULL) {
            break;
        } else if (!strcmp(name, id)) {
            is_complete = type == INT64 && value.number == 0;
        }
    }
    PyObject *result = status < 0 ? NULL : status > 0 && at == end && is_complete ? PyList_AsTuple(list) : Py_NewRef(Py_None);
    Py_DECREF(list);
    return result;
}

static PyMethodDef methods[] = {
    {"encode", encode, METH_VARARGS,
     "encode(documents, names, members, tail)\n--\n\nReturn each document as a JSON object, or None if it is not supported."},
    {"columns", columns, METH_VARARGS,
     "columns(documents, names)\n--\n\nReturn the named values of each document, or None if one is not supported."},
    {"split", split, METH_O,
     "split(cursor)\n--\n\nReturn the documents of a cursor's only batch, or None if there are more, or it is damaged."},
    {NULL, NULL, 0, NULL},
};

static int add_version(PyObject *module) {
    return PyModule_AddIntConstant(module, "VERSION", VERSION);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)add_version}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "recordings_bson_json", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC PyInit_recordings_bson_json(void) {
    return PyModuleDef_Init(&definition);
}
