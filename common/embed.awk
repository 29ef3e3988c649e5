# Turns text files into one C table: { name, text, length } per file, ended by a null name.
#   awk -v table=NAME -f embed.awk FILE...
# The declaration is in common/embedded.h.
function base(path) {
    sub(/^.*\//, "", path)
    return path
}
# By hand: awks differ in what a backslash means in the replacement of gsub().
function escaped(line,    out, at, c) {
    for (at = 1; at <= length(line); at++) {
        c = substr(line, at, 1)
        out = out (c == "\\" || c == "\"" ? "\\" c : c)
    }
    return out
}
function finish() {
    if (open)
        print "    },"
}
BEGIN {
    print "#include \"common/embedded.h\"\n"
    print "const struct embedded_file " table "[] = {"
}
FNR == 1 {
    finish()
    open = 1
    print "    {\n        \"" base(FILENAME) "\","
}
{
    print "        \"" escaped($0) "\\n\""
}
END {
    finish()
    print "    { 0, 0 },\n};"
}
