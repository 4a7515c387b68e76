/* pith version. */
#include "cli/cmd.h"

typedef struct values {
    cli_globals g;
} values;

static const cli_opt options[] = {CLI_GLOBAL_OPTIONS(values)};

static int run_version(void *opts, int argc, char **argv)
{
    (void)opts;
    if (argc) return cli_usage("'%s': version takes no arguments", argv[0]);
    printf("pith %s\n", pith_version());
    return CLI_OK;
}

const cli_verb cmd_version = {"version", "", "the version of pith", NULL, options, sizeof(values), run_version};
