// Package celestia runs a real Celestia network on one machine: a chain of one
// validator (celestia-app) and a bridge node (celestia-node), for devnets and tests.
//
// In come a folder and two binaries that `make celestia-bin` built; out goes a bridge
// that answers celestia-node's JSON-RPC on loopback and whose account can pay. What
// always holds: a second start on the same folder goes on with the same chain, at the
// same endpoint; nothing listens on anything but loopback; the processes do not outlive
// their parent (on Linux, however that ends). The bridge keeps every block, while a
// public network's nodes forget after some weeks.
//
// The bridge asks the local router to forward ports when it starts (UPnP, NAT-PMP), as
// celestia-node always does; there is no port of it that could be forwarded.
package celestia
