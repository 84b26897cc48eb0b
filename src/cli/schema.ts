import { Command } from 'commander'
import { catalogue } from '../compose.ts'
import { jsonSchemaOf, schemaName, schemaNames } from '../core/json-schemas.ts'
import { orList } from '../core/problems.ts'

/** `schema NAME`: the JSON Schema on stdout. Throws `CAESURA_E_USAGE` for another name. */
export function schemaCommand(): Command {
  return new Command('schema')
    .description('print the JSON Schema of a file or an output')
    .argument('<name>', orList(schemaNames))
    .option('--json', 'the same: it is JSON anyway')
    .action((name: string) => {
      process.stdout.write(`${JSON.stringify(jsonSchemaOf(schemaName(name), catalogue), undefined, 2)}\n`)
    })
}
