// ops: what a piece of work costs at least, counted from config.json: multiplications and additions, as `pith bench` does.
import fs from 'node:fs';

const config = (dir) => JSON.parse(fs.readFileSync(`${dir}/config.json`));

export function encoderOps(dir, batch, length) {
    const c = config(dir), layer = 4 * c.dim * c.dim + 2 * c.dim * c.hidden_dim, head = c.dim * c.dim + 2 * c.dim;
    return 2 * batch * (length * c.n_layers * (layer + 2 * length * c.dim) + head);
}

// A prompt to its first new token: the head for the last position only.
export function decoderOps(dir, length) {
    const c = config(dir), heads = c.num_attention_heads, dim = c.head_dim ?? c.hidden_size / heads, kv = dim * (c.num_key_value_heads ?? heads);
    const layer = 2 * c.hidden_size * (heads * dim + kv) + 3 * c.hidden_size * c.intermediate_size;
    return 2 * (length * c.num_hidden_layers * (layer + length * heads * dim) + c.hidden_size * c.vocab_size);
}
