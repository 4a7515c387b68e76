// OpenAI's own client, unchanged, against `pith serve`. Speaks TAP. usage: node server_openai_client.mjs http://HOST:PORT/v1
// The server wants the key "secret" and serves the models chat (it has a template) and reviews.
import assert from "node:assert";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "secret", maxRetries: 0 });
const messages = [{ role: "user", content: "Was it any good?" }];
const settings = { model: "chat", messages, temperature: 0, max_tokens: 12 };
const tests = {
  async "a chat"() {
    const a = await client.chat.completions.create(settings);
    assert.equal(a.object, "chat.completion");
    assert.equal(a.choices[0].message.role, "assistant");
    assert.ok(a.choices[0].message.content.length > 5);
    assert.equal(a.choices[0].finish_reason, "length");
    assert.equal(a.usage.completion_tokens, 12);
  },
  async "a chat as a stream"() {
    const whole = await client.chat.completions.create(settings);
    let text = "", last, usage;
    for await (const e of await client.chat.completions.create({ ...settings, stream: true, stream_options: { include_usage: true } })) {
      text += e.choices[0]?.delta.content ?? "";
      last = e.choices[0]?.finish_reason ?? last;
      usage = e.usage ?? usage;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(last, "length");
    assert.equal(usage.completion_tokens, 12);
  },
  async "the client's own reading of a stream"() {
    const whole = await client.chat.completions.create(settings);
    const stream = client.chat.completions.stream({ ...settings, logprobs: true, top_logprobs: 2 });
    let deltas = 0;
    stream.on("content", () => deltas++);
    const a = await stream.finalChatCompletion();
    assert.equal(a.choices[0].message.content, whole.choices[0].message.content);
    assert.equal(a.choices[0].logprobs.content.length, 12);
    assert.ok(deltas > 5);
  },
  async "a stream that is stopped"() {
    const stream = await client.chat.completions.create({ ...settings, max_tokens: 400, n: 64, stream: true, ignore_eos: true });
    let n = 0;
    for await (const e of stream) if (e && ++n === 5) stream.controller.abort();
    assert.ok(n >= 5 && n < 2000, `${n} events`);
    await client.chat.completions.create(settings);
  },
  async "a completion, its log probabilities, several prompts"() {
    const a = await client.completions.create({ model: "reviews", prompt: ["This movie", "A film"], max_tokens: 6, temperature: 0, logprobs: 2, echo: false });
    assert.equal(a.choices.length, 2);
    assert.equal(a.choices[1].logprobs.tokens.join(""), a.choices[1].text);
    let text = "";
    for await (const e of await client.completions.create({ model: "reviews", prompt: "This movie", max_tokens: 6, temperature: 0, stream: true }))
      text += e.choices[0].text;
    assert.equal(text, a.choices[0].text);
  },
  async "models"() {
    const names = [];
    for await (const m of client.models.list()) names.push(m.id);
    assert.deepEqual(names, ["chat", "reviews"]);
    assert.equal((await client.models.retrieve("chat")).id, "chat");
  },
  async "errors"() {
    await assert.rejects(client.chat.completions.create({ ...settings, temperature: -1 }), (e) => e instanceof OpenAI.BadRequestError && e.param === "temperature");
    await assert.rejects(client.chat.completions.create({ ...settings, response_format: { type: "json_object" } }), OpenAI.BadRequestError);
    await assert.rejects(client.chat.completions.create({ ...settings, model: "none" }), (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
    await assert.rejects(client.chat.completions.create({ ...settings, messages: [{ role: "user", content: "word ".repeat(600) }] }),
      (e) => e.code === "context_length_exceeded");
    await assert.rejects(client.chat.completions.create({ ...settings, temperature: -1, stream: true }), OpenAI.BadRequestError);
    await assert.rejects(client.models.retrieve("none"), OpenAI.NotFoundError);
    const other = new OpenAI({ baseURL: process.argv[2], apiKey: "wrong", maxRetries: 0 });
    await assert.rejects(other.models.list(), OpenAI.AuthenticationError);
  },
};
let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok - OpenAI's client: ${name}`);
  } catch (e) {
    failed++;
    console.log(`not ok - OpenAI's client: ${name}\n${String(e.stack).replace(/^/gm, "#   ")}`);
  }
}
process.exit(failed ? 1 : 0);
