# Turns text files into one C table: { name, text, length } per file, ended by a null name.
#   awk -v table=NAME -f embed.awk FILE...
# The declaration is in common/embedded.h.
function base(path) {
    sub(/^.*\//, "", path)
    return path
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
    gsub(/\\/, "\\\\\\\\")
    gsub(/"/, "\\\"")
    print "        \"" $0 "\\n\""
}
END {
    finish()
    print "    { 0, 0 },\n};"
}
