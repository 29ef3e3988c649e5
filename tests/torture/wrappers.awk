# calls.list -> C: one __wrap_ function for each line. With -v flags=1: the linker's options.
#
# A wrapper has the prototype that the library's header gives, or it does not compile.

function name_of(parameter) {
    if (match(parameter, /\(\*[a-z_]+\)/))
        return substr(parameter, RSTART + 2, RLENGTH - 3)
    sub(/\[[^]]*\]$/, "", parameter)
    match(parameter, /[A-Za-z_0-9]+$/)
    return substr(parameter, RSTART)
}

# The names of the parameters as arguments; sets `fixed`, the name before the dots, and `dots`.
function arguments(list,    i, c, depth, part, result) {
    fixed = ""
    dots = 0
    if (list == "void")
        return ""
    for (i = 1; i <= length(list) + 1; i++) {
        c = substr(list, i, 1)
        depth += c == "(" ? 1 : c == ")" ? -1 : 0
        if ((c == "," && depth == 0) || i > length(list)) {
            sub(/^ +/, "", part)
            if (part == "...") {
                dots = 1
            } else {
                fixed = name_of(part)
                result = result (result == "" ? "" : ", ") fixed
            }
            part = ""
        } else {
            part = part c
        }
    }
    return result
}

BEGIN {
    separator = "-Wl,"
    if (!flags)
        print "#include \"tests/torture/torture.h\"\n"
}

/^#/ || /^$/ { next }

{
    at = index($0, ") = ")
    prototype = substr($0, 1, at)
    value = substr($0, at + 4)
    open_at = index(prototype, "(")
    head = substr(prototype, 1, open_at - 1)
    name = name_of(head)
    if (flags) {
        printf "%s--wrap=%s", separator, name
        separator = ","
        next
    }
    type = substr(head, 1, length(head) - length(name))
    parameters = substr(prototype, open_at + 1, length(prototype) - open_at - 1)
    list = arguments(parameters)
    real = ""
    if (dots && match(value, /\) = [a-z_]+\(.*$/)) {
        real = substr(value, RSTART + 4)
        value = substr(value, 1, RSTART)
    }
    printf "__typeof__(%s) __real_%s, __wrap_%s;\n", name, name, name
    printf "%s__wrap_%s(%s)\n{\n", type, name, parameters
    if (dots)
        printf "    va_list rest;\n    va_start(rest, %s);\n", fixed
    printf "    bool fails = torture_fails(\"%s\", __builtin_frame_address(0));\n", name
    if (real == "")
        real = "__real_" name "(" list (dots ? ", va_arg(rest, long)" : "") ")"
    if (dots) {
        printf "    %sresult = fails ? %s : %s;\n    va_end(rest);\n    return result;\n}\n\n", \
               type, value, real
    } else {
        printf "    if (fails)\n        return %s;\n    return %s;\n}\n\n", value, real
    }
}

END {
    if (flags)
        print ""
}
