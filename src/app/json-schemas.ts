import { z } from 'zod'
import type { Catalogue } from '../core/catalogue.ts'
import { CaesuraError } from '../core/errors.ts'
import { runEventSchema } from '../core/event.ts'
import { present } from '../core/present.ts'
import { probeResultSchema } from '../core/probe.ts'
import { didYouMean, orList } from '../core/problems.ts'
import { recordSchema } from '../core/record.ts'
import { experimentFileSchema } from '../lab/design/experiment-schema.ts'
import { configSchema } from '../nodes/config-schema.ts'
import { pipelineSchema } from '../pipelines/pipeline-schema.ts'
import { type JsonSchema, jsonSchemaOf as jsonSchemaOfFile } from '../policies/reading/policy-json-schema.ts'

/** What has a JSON Schema. */
export const schemaNames = ['pipeline', 'config', 'experiment', 'record', 'event', 'probe'] as const
export type SchemaName = (typeof schemaNames)[number]

const texts: Record<SchemaName, { title: string; description: string }> = {
  pipeline: { title: 'Caesura pipeline', description: 'A multi-stage LLM pipeline that can be interrupted.' },
  config: { title: 'Caesura configuration', description: 'Which model servers there are, and where records go.' },
  experiment: {
    title: 'Caesura experiment',
    description: 'What `caesura ab` compares, under which load, and by which metrics.',
  },
  record: {
    title: 'Caesura run record',
    description: 'A finished run: its calls, its interrupts and what they cost. Times are ms.',
  },
  event: {
    title: 'Caesura run event',
    description: 'One line of `run --events`. `seq` rises by one; `ms` counts from the run’s start.',
  },
  probe: {
    title: 'Caesura probe',
    description: 'What `probe --json` found out about a node. Times are ms; what was not observed is absent.',
  },
}

/** The name of a schema. Throws `CAESURA_E_USAGE`. */
export function schemaName(name: string): SchemaName {
  const found = schemaNames.find((candidate) => candidate === name)
  if (found) return found
  const hint = didYouMean(name, schemaNames)
  throw new CaesuraError('CAESURA_E_USAGE', `There is no schema named ${name}.`, {
    received: name,
    expected: orList(schemaNames),
    ...present({ hint }),
  })
}

/** The JSON Schema (draft 2020-12) of what a file or an output holds: for files as they are written, before defaults. */
export function jsonSchemaOf(name: SchemaName, catalogue: Catalogue): JsonSchema {
  const schemas = {
    pipeline: pipelineSchema(catalogue),
    config: configSchema(catalogue.backends),
    experiment: experimentFileSchema(catalogue),
    record: recordSchema,
    event: runEventSchema,
    probe: probeResultSchema,
  }
  const { $schema, ...schema } = z.toJSONSchema(schemas[name], { io: 'input' })
  const $defs = name === 'experiment' && { $defs: { pipeline: jsonSchemaOfFile(pipelineSchema(catalogue)) } }
  return { $schema, ...texts[name], ...schema, ...$defs }
}
