package devnet

import "time"

// Kind of an event.
type Kind string

// What happens in the life of a devnet.
const (
	// Making: a new network's data is being made.
	Making Kind = "making"
	// Started: a child runs.
	Started Kind = "started"
	// Waiting: the network does not answer yet, for longer than it should take.
	Waiting Kind = "waiting"
	// Ready: everything answers.
	Ready Kind = "ready"
	// Progress: how the network stands now.
	Progress Kind = "status"
	// Died: a child ended by itself and is started again after a while.
	Died Kind = "died"
	// Warning: something went wrong that the network can do without.
	Warning Kind = "warning"
	// Stopping: the children are being stopped.
	Stopping Kind = "stopping"
	// Stopped: a child was stopped.
	Stopped Kind = "stopped"
)

// Event tells what happened. Fields that say nothing for a kind are empty.
type Event struct {
	Time  time.Time
	Kind  Kind
	Child string
	PID   int
	Err   error
	Wait  time.Duration // until the child is started again
	Log   string        // path of the child's log

	Home      string
	Endpoints *Endpoints
	Status    *Status
	Took      time.Duration // from the start to everything answering
}

// Reporter shows events. Calls come one at a time.
type Reporter interface {
	Report(Event)
}

// Status is how the network stands at one moment.
type Status struct {
	// Height of the sequencer chain; 0 while no validator answers.
	Height  uint64         `json:"height"`
	Rollups []RollupStatus `json:"rollups"`
	// PerSecond is the number of transactions executed per second, on all rollups.
	PerSecond float64 `json:"tx_per_second"`
	Running   int     `json:"running"`
	Processes int     `json:"processes"`
}

// RollupStatus is how a rollup stands.
type RollupStatus struct {
	Name string `json:"name"`
	// Up tells whether its node answers; where not, the rest is what was last known.
	Up     bool   `json:"up"`
	Latest uint64 `json:"latest"`
	Safe   uint64 `json:"safe"`
}
