# From src/pith.h to the reference in pith(3): a section for each "---- title ----", the rest as it stands.
/^#ifdef __cplusplus/ { if (open) exit }
/^typedef struct pith_err|^\/\* Every fallible/ { if (!open) { print "## errors\n\n```"; open = 1 } }
/^\/\* ---- .* ---- \*\/$/ {
    sub(/^\/\* ---- /, ""); sub(/ ---- \*\/$/, "")
    if (open) print "```\n"
    print "## " $0 "\n\n```"
    open = 1; blank = 1
    next
}
open {
    if ($0 == "" && blank) next
    blank = $0 == ""
    sub(/^PITH_API /, "")
    print
}
END { if (open) print "```" }
