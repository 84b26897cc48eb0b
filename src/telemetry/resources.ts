import { type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import type { ProcessRecord } from '../core/record.ts'
import { resourceAttribute as key } from './semconv.ts'

/** Processes whose resource is kept ready: those that a fleet has had for a while. */
const MOST_KEPT = 1000

/**
 * The resources that spans name. Whoever ends a run writes the spans of all processes that had a part in it: each under the name
 * of the process that did the work, living or not.
 */
export class Resources {
  readonly own: Resource
  readonly #version: string
  readonly #more: Readonly<Record<string, string>>
  readonly #known = new Map<string, Resource>()

  /** `more`: attributes for all of them, such as those of `OTEL_RESOURCE_ATTRIBUTES`. */
  constructor(own: { service: string; instance: string; version: string; more?: Readonly<Record<string, string>> }) {
    this.#version = own.version
    this.#more = own.more ?? {}
    this.own = this.#make(own.service, own.instance)
  }

  /** Of a process; undefined is this one. */
  of(process: ProcessRecord | undefined): Resource {
    if (process === undefined) return this.own
    const name = `${process.service} ${process.instance}`
    let resource = this.#known.get(name)
    if (resource === undefined) {
      if (this.#known.size >= MOST_KEPT) this.#known.clear()
      resource = this.#make(process.service, process.instance)
      this.#known.set(name, resource)
    }
    return resource
  }

  #make(service: string, instance: string): Resource {
    return resourceFromAttributes({
      ...this.#more,
      [key.serviceName]: service,
      [key.serviceVersion]: this.#version,
      [key.serviceInstance]: instance,
    })
  }
}
