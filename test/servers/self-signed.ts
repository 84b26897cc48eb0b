import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

/** One DER value: tag, length, content. */
function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
const sequence = (...contents: readonly Buffer[]) => der(0x30, ...contents)
const bits = (content: Buffer) => der(0x03, Buffer.from([0]), content)
const ecdsaWithSha256 = sequence(der(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
const commonName = Buffer.from('550403', 'hex')

/** A day as ASN.1's UTCTime. */
const day = (date: Date) => der(0x17, Buffer.from(`${date.toISOString().slice(2, 10).replaceAll('-', '')}000000Z`))

/**
 * A key and a certificate for `localhost` that nobody vouches for, made anew each time, so that no key lies in the repository
 * and none expires. Both PEM. Node can read certificates but not make them, hence the few lines of DER.
 */
export function selfSigned(): { readonly key: string; readonly cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(der(0x31, sequence(der(0x06, commonName), der(0x0c, Buffer.from('localhost')))))
  const now = Date.now()
  const validity = sequence(day(new Date(now - 86_400_000)), day(new Date(now + 864_000_000)))
  const serial = der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)]))
  const subject = publicKey.export({ type: 'spki', format: 'der' })
  const body = sequence(serial, ecdsaWithSha256, name, validity, name, subject)
  const certificate = sequence(body, ecdsaWithSha256, bits(sign('sha256', body, privateKey)))
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
  }
}
