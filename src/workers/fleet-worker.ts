/** A worker of a fleet, of either kind. */
export interface FleetWorker {
  /** Of this worker, as the runs that it owns or the node that it serves name it. */
  readonly id: string
  /** Takes nothing new, hands over or finishes what it has, and ends. */
  close(): Promise<void>
}
