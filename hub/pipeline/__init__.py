"""What happens to a message, one file per step, in this order.

receive   bytes are kept, then the source is told "received"
read      bytes -> messages and events (the component's `read`)
resolve   whose identity is it
thread    which case is it
record    it stands on the timeline (read to record: one short transaction for a page)
enrich    what CRMs and shops know
suggest   which approved answers fit
plan      what is owed to whom -> deliveries
replies   an agent answered: outcome of the suggestions
deliver   lane by lane, once
replay    a human says "again"
"""
