import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** A Chromium to test pages in: `CHROMIUM_PATH`, else `chromium` or `google-chrome` on the PATH. */
export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const names = ['chromium', 'chromium-browser', 'google-chrome']
  const places = [process.env.CHROMIUM_PATH ?? [], folders.flatMap((folder) => names.map((name) => join(folder, name)))]
  return places.flat().find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
