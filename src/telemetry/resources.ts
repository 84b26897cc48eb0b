import {
  detectResources,
  type Resource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import type { ProcessRecord } from '../core/record.ts'
import { resourceAttribute as key } from './semconv.ts'

/** Processes whose resource is kept ready: those that a fleet has had for a while. */
const MOST_KEPT = 1000

const nameOf = ({ service, instance }: { service: string; instance: string }): string => `${service} ${instance}`

/**
 * The resources that spans name. Whoever ends a run writes the spans of all processes that had a part in it: each under the name
 * of the process that did the work, living or not.
 */
export class Resources {
  readonly own: Resource
  readonly #ownName: string
  readonly #version: string
  readonly #asked = detectResources({ detectors: [resourceAttributesEnvDetector] })
  readonly #known = new Map<string, Resource>()

  constructor(own: { service: string; instance: string; version: string }) {
    this.#version = own.version
    this.#ownName = nameOf(own)
    this.own = this.#make(own.service, own.instance)
  }

  /** Of a process; undefined is this one. */
  of(process: ProcessRecord | undefined): Resource {
    if (process === undefined) return this.own
    const name = nameOf(process)
    if (name === this.#ownName) return this.own
    let resource = this.#known.get(name)
    if (resource === undefined) {
      if (this.#known.size >= MOST_KEPT) this.#known.clear()
      resource = this.#make(process.service, process.instance)
      this.#known.set(name, resource)
    }
    return resource
  }

  #make(service: string, instance: string): Resource {
    return this.#asked.merge(
      resourceFromAttributes({
        [key.serviceName]: service,
        [key.serviceVersion]: this.#version,
        [key.serviceInstance]: instance,
      }),
    )
  }
}
