// Package bench measures a running network as its users meet it. In comes the
// endpoints file of a devnet; out go figures as JSON. Load is open-loop: each
// transaction has its time of sending fixed beforehand, and latency counts from
// that time, so that a stall is seen by every transaction that it delayed.
package bench
