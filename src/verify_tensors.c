/* verify_tensors: what the architecture wants of the weights. The model is led through its own loading, which names every
 * tensor it uses with its shape, over files opened for their headers only: nothing is read or packed. */
#include "base/mem.h"
#include "verify.h"

static void tell(void *ctx, const char *name, const char *message)
{
    verify_tell(ctx, PITH_CHECK_TENSORS, 1, name, "%s", message);
}

int verify_tensors(verify *v, pith_err *e)
{
    if (!v->config || !v->w) return 0; /* verify_files said why */
    if (!v->as_stored) {
        verify_tell(v, PITH_CHECK_TENSORS, 0, "", "not compared with config.json: the weights are a PyTorch checkpoint, and models are computed from safetensors; `pith convert` makes them");
        return 0;
    }
    pith_err why = {{0}};
    const char *architecture;
    pith_model *m = mem_zero(1, sizeof *m);
    if (!m) return err_nomem(e, sizeof *m, "a model");
    m->op.threads = 1;
    m->op.kernels = kernel_find(NULL, &why);
    v->out->done |= 1u << PITH_CHECK_TENSORS;
    if (!m->op.kernels || engine_config(m, v->path, &architecture, &why) || engine_weights(m, v->path, architecture, &(engine_source){.no_mmap = 1, .tell = tell, .ctx = v}, &why) ||
        (m->dims.causal && !v->odd_side && engine_settings(m, v->path, &why)))
        verify_tell_error(v, PITH_CHECK_TENSORS, "", &why);
    else if (!v->out->failed[PITH_CHECK_TENSORS]) v->out->parameters = m->parameters; /* packed ones are no elements */
    pith_model_close(m);
    return 0;
}
