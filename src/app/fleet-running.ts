import type { FleetAddress, FleetNode } from '../core/fleet.ts'
import { bundledModel, modelNameOf } from '../nodes/backends/model-file.ts'
import type { Config } from '../nodes/config-schema.ts'
import { connectFleet } from './fleet.ts'
import { type Aliases, allNames, builtInAliases, candidates, resolveStages, type Wanted } from './model-names.ts'
import { asWished, type Surroundings, underWish } from './wishes.ts'

/** Part of the composition root: what a process knows that has runs made by a fleet. */
export type { FleetAddress }

/**
 * What the stages' models are called on the nodes of a fleet, as `chooseSurroundings` says it for this process. A model that no node
 * has is no error: its node may be on its way. Throws `CAESURA_E_REDIS`.
 */
export async function fleetSurroundings(
  redis: FleetAddress,
  wanted: readonly Wanted[],
  wishes: { readonly model?: string; readonly config?: Config },
): Promise<Pick<Surroundings, 'models' | 'notices'>> {
  const client = await connectFleet(redis)
  try {
    return namesOn(await client.nodes(), wanted, wishes)
  } finally {
    await client.close()
  }
}

function namesOn(
  nodes: readonly FleetNode[],
  wanted: readonly Wanted[],
  { model, config }: { readonly model?: string; readonly config?: Config },
): Pick<Surroundings, 'models' | 'notices'> {
  const wishes = model === undefined ? {} : { model }
  const aliases = aliasesOf(config)
  const names = [...(config?.nodes ?? []), ...nodes].map((node) => node.name)
  const models = nodes.flatMap((node) => node.models.map((name) => ({ name })))
  const { found, missing, notices } = resolveStages(models, asWished(wanted, wishes), aliases, names)
  // A node that lists no models takes calls for any.
  const any = nodes.some((node) => node.models.length === 0)
  for (const name of any ? allNames(asWished(wanted, wishes)) : missing)
    found[name] ??= candidates(name, aliases)[0] ?? name
  return {
    models: underWish(wanted, wishes, found),
    notices: any
      ? []
      : [
          ...notices,
          ...missing.map(
            (name) =>
              `${nodes.length === 0 ? 'The fleet has no nodes' : `No node of the fleet has the model ${found[name]}`} now: the run waits for one, up to 30 s.`,
          ),
        ],
  }
}

/** The bundled model goes by its own name too where a stage worker runs it in its process. */
const aliasesOf = (config: Config | undefined): Aliases => ({
  ...Object.fromEntries(
    Object.entries(builtInAliases).map(([alias, models]) => [alias, [...models, modelNameOf(bundledModel)]]),
  ),
  ...Object.fromEntries(Object.entries(config?.models ?? {}).map(([alias, name]) => [alias, [name]])),
})

/** What answers at a fleet's address. Throws `CAESURA_E_REDIS`. */
export async function inspectFleet(
  redis: FleetAddress,
): Promise<{ readonly redisVersion: string; readonly nodes: readonly FleetNode[] }> {
  const { FleetClient } = await import('../workers/fleet-client.ts')
  const client = await FleetClient.open(redis)
  try {
    const told = await client.redis.client.info('server')
    // Valkey calls itself a Redis 7.2 as well, for clients that ask for one.
    const [, valkey] = /^valkey_version:(\S+)/m.exec(told) ?? []
    const [, redisVersion = 'unknown version'] = /^redis_version:(\S+)/m.exec(told) ?? []
    return { redisVersion: valkey === undefined ? redisVersion : `Valkey ${valkey}`, nodes: await client.nodes() }
  } finally {
    await client.close()
  }
}
