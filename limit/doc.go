// Package limit holds the pure arithmetic of flow control: how much may pass
// now, how long until more may, and who goes first.
//
// A [Limit] says how many events a span of time may hold. A [Plan] is several
// limits compiled once and shared; a [Set] is one user's account under a plan,
// and takes of all its limits or of none. [Counter] bounds what is in use at
// the same time, [Priority] orders those who wait.
//
// For queues there are four more. [Rate] lets one go each 1/rate of a second,
// catches up on lateness, and stays exact in every second. [Fair] is a line in
// which flows share by weight. [CoDel] tells a line that stays long from a
// burst. [Adaptive] finds by itself how many may run at once.
//
// Nothing here reads a clock, starts a goroutine or takes a lock: time is the
// argument now, and callers that share one of them guard it with a mutex of
// their own. Plans are immutable and safe to share.
//
// # Algorithms
//
//   - [Rolling] is exact: no half-open window of length Per, wherever it
//     starts, holds more than Events.
//   - [Smooth] is the generic cell rate algorithm (GCRA): at most Burst at
//     once, then one event each Per/Events.
//   - [Calendar] counts in windows aligned to the wall clock, for upstreams
//     that count by the minute, hour or UTC day.
//
// # Slack
//
// An upstream counts arrivals, we count departures, and the way between them
// jitters. A plan's slack is how much later an event may arrive than it left
// without the upstream seeing a limit exceeded:
//
//   - Rolling counts an event for Per + slack instead of Per.
//   - Smooth lets an event pass slack later than it would otherwise, so that
//     slack eats into the burst. The full rate needs a Burst of at least
//     2 + slack/(Per/Events); with a Burst of 1, events are Per/Events + slack apart.
//   - Calendar opens its window slack after the boundary, and counts what is
//     taken within slack of a boundary, on either side, in both windows.
//
// # Clocks that go back
//
// A now before one that already changed a regulator is taken as that one: a
// clock set back never refills a limit. Offsets are exact within 73 years of
// the making of the plan, before or after; beyond that, time stands still.
package limit
