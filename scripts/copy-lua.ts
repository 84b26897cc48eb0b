/** Copies the fleet's Redis commands, which the compiler does not know, beside the compiled code that reads them. */
import { cp } from 'node:fs/promises'

const folder = (parent: string) => new URL(`../${parent}/workers/commands`, import.meta.url)
await cp(folder('src'), folder('dist'), { recursive: true })
