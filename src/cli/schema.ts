import { Command } from 'commander'
import { jsonSchemaOf, schemaName, schemaNames } from '../app/json-schemas.ts'
import { orList } from '../core/problems.ts'
import { type CatalogueFlag, catalogueOf, catalogueOption } from './catalogue-flag.ts'

/** `schema NAME`: the JSON Schema on stdout. Throws `CAESURA_E_USAGE` for another name. */
export function schemaCommand(): Command {
  return new Command('schema')
    .description('print the JSON Schema of a file or an output')
    .argument('<name>', orList(schemaNames))
    .addOption(catalogueOption())
    .option('--json', 'the same: it is JSON anyway')
    .action(async (name: string, flags: CatalogueFlag) => {
      const catalogue = await catalogueOf(flags)
      process.stdout.write(`${JSON.stringify(jsonSchemaOf(schemaName(name), catalogue), undefined, 2)}\n`)
    })
}
