// What @cloud-copilot/iam-simulate decides.
//
// The public runSimulation drops condition keys that the service's data does not list for an action. Where it drops one,
// or refuses a case, the engine below it is asked directly.
import { loadPolicy } from '@cloud-copilot/iam-policy'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const inside = (path) => import(new URL(`./node_modules/@cloud-copilot/iam-simulate/dist/esm/${path}`, import.meta.url))
const { authorize } = await inside('core_engine/CoreSimulatorEngine.js')
const { AwsRequestImpl } = await inside('request/request.js')
const { RequestContextImpl } = await inside('requestContext.js')
const { DiscoveryContextKeyConstraints } = await inside('context_keys/discoveryContextKeyConstraints.js')

async function outside(request) {
  const named = (documents) => documents?.map((policy, place) => ({ name: `p${place}`, policy }))
  const answer = await runSimulation({
    request: {
      principal: request.principal,
      action: request.action,
      resource: { resource: request.resource, accountId: request.resourceAccount },
      contextVariables: request.context
    },
    identityPolicies: named(request.identity),
    permissionBoundaryPolicies: named(request.boundary ?? undefined),
    sessionPolicy: request.sessionPolicy ?? undefined,
    resourcePolicy: request.resourcePolicy ?? undefined,
    serviceControlPolicies: [],
    resourceControlPolicies: []
  }, { simulationMode: 'Strict' })
  if (answer.resultType === 'error') return { error: answer.errors.message }
  const results = answer.result ? [answer.result] : answer.results
  return results.some((result) => result.ignoredContextKeys.length) ? {} : { decision: answer.overallResult }
}

function below(request) {
  const load = (document) => document ? loadPolicy(document, { name: 'p' }) : undefined
  return authorize({
    request: new AwsRequestImpl(
      request.principal,
      { resource: request.resource, accountId: request.resourceAccount },
      request.action, new RequestContextImpl(request.context), false),
    identityPolicies: request.identity.map(load),
    permissionBoundaries: request.boundary?.map(load),
    sessionPolicy: load(request.sessionPolicy),
    resourcePolicy: load(request.resourcePolicy),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    simulationParameters: {
      simulationMode: 'Strict',
      discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([])
    },
    serviceSettings: {}
  }).result
}

export async function decide(request) {
  const { decision } = await outside(request)
  return decision ?? below(request)
}

// The same, but nothing where the action is not one on such a resource.
export async function decideIfPossible(request) {
  const { decision, error } = await outside(request)
  return ['no.resource.types', 'must.use.wildcard'].includes(error) ? null : decision ?? below(request)
}
