// Invoke an endpoint with the Node clients, with their defaults: node clients.mjs ENDPOINT. See clients.py.
import { readFileSync } from 'node:fs';
import {
  BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import OpenAI from 'openai';

const endpoint = JSON.parse(process.argv[2]);
const { arn, region, question, answer, kind } = endpoint;
const messages = [{ role: 'user', content: [{ text: question }] }];
const schema = {
  type: 'object',
  properties: { parcel: { type: 'string' }, urgency: { enum: ['low', 'high'] } },
  required: ['parcel', 'urgency'],
  additionalProperties: false,
};

function check(condition, value) {
  if (!condition) throw new Error(`unexpected: ${JSON.stringify(value)}`);
}
const checkAnswer = (text) => check(text === answer, text);
const checkTicket = (ticket) => check(ticket.parcel === answer && ['low', 'high'].includes(ticket.urgency), ticket);

const sdk = {
  name: '@aws-sdk/client-bedrock-runtime',
  send: async (command) => {
    const client = new BedrockRuntimeClient({ region });
    try { return await client.send(command); } finally { client.destroy(); }
  },
  chat: async () => {
    const reply = await sdk.send(new ConverseCommand({ modelId: arn, messages }));
    checkAnswer(reply.output.message.content[0].text);
  },
  stream: async () => {
    const client = new BedrockRuntimeClient({ region });
    const reply = await client.send(new ConverseStreamCommand({ modelId: arn, messages }));
    let text = '';
    for await (const event of reply.stream) text += event.contentBlockDelta?.delta?.text ?? '';
    client.destroy();
    checkAnswer(text);
  },
  tools: async () => {
    const toolConfig = {
      tools: [{ toolSpec: { name: 'assign', inputSchema: { json: schema } } }],
      toolChoice: { any: {} },
    };
    const reply = await sdk.send(new ConverseCommand({ modelId: arn, messages, toolConfig }));
    checkTicket(reply.output.message.content[0].toolUse.input);
  },
  'api key': async () => {
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = process.env;
    process.env.AWS_BEARER_TOKEN_BEDROCK = endpoint.key;
    delete process.env.AWS_ACCESS_KEY_ID;
    delete process.env.AWS_SECRET_ACCESS_KEY;
    try { await sdk.chat(); } finally {
      delete process.env.AWS_BEARER_TOKEN_BEDROCK;
      process.env.AWS_ACCESS_KEY_ID = id;
      process.env.AWS_SECRET_ACCESS_KEY = secret;
    }
  },
};

const chat = [{ role: 'user', content: question }];
const openai = {
  name: 'openai (Node)',
  create: (options) => new OpenAI().chat.completions.create({ model: arn, messages: chat, ...options }),
  chat: async () => checkAnswer((await openai.create()).choices[0].message.content),
  stream: async () => {
    let text = '', usage;
    for await (const chunk of await openai.create({ stream: true, stream_options: { include_usage: true } })) {
      text += chunk.choices[0]?.delta?.content ?? '';
      usage = chunk.usage;
    }
    check(usage.total_tokens > 0, usage);
    checkAnswer(text);
  },
  tools: async () => {
    const tools = [{ type: 'function', function: { name: 'assign', parameters: schema } }];
    const reply = await openai.create({ tools, tool_choice: 'required' });
    checkTicket(JSON.parse(reply.choices[0].message.tool_calls[0].function.arguments));
  },
  structured: async () => {
    const response_format = { type: 'json_schema', json_schema: { name: 'ticket', schema, strict: true } };
    checkTicket(JSON.parse((await openai.create({ response_format })).choices[0].message.content));
  },
};

const client = kind === 'openai' ? openai : sdk;
const name = client.name.replace(' (Node)', '');
const file = new URL(`./node_modules/${name}/package.json`, import.meta.url);
const { version } = JSON.parse(readFileSync(file));
for (const capability of ['chat', 'stream', 'tools', 'structured', 'api key']) {
  let result = 'not offered';
  if (client[capability]) {
    try { await client[capability](); result = 'works'; } catch (error) { result = `${error.name}: ${error.message}`; }
  }
  console.log(JSON.stringify({ client: client.name, version, kind, capability, result }));
}
process.exit(0);
