// JSON lines of cases in, JSON lines of verdicts out.
import { createInterface } from 'node:readline'
import { decide } from './decide.mjs'

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  process.stdout.write(`${JSON.stringify({ id: request.id, decision: await decide(request) })}\n`)
}
