package avail

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ordo-network/ordo/da"
)

// Statuses of a block, as the API documents them. All others mean that the block's
// data is not available yet.
const (
	statusUnavailable = "unavailable" // below what the light client processes
	statusIncomplete  = "incomplete"  // the header commits to no data
	statusFinished    = "finished"
)

// modeApp is the mode in which the light client serves data.
const modeApp = "app"

// submitRequest is the body of POST /v2/submit; bytes are standard base64.
type submitRequest struct {
	Data []byte `json:"data"`
}

// submitAnswer is the block that a transaction got into, final or not.
type submitAnswer struct {
	BlockNumber uint32 `json:"block_number"`
}

// blockRange is of heights, both included.
type blockRange struct {
	First uint32 `json:"first"`
	Last  uint32 `json:"last"`
}

// statusAnswer is that of GET /v2/status.
type statusAnswer struct {
	Modes       []string `json:"modes"`
	AppID       *uint32  `json:"app_id"`
	GenesisHash string   `json:"genesis_hash"`
	Network     string   `json:"network"`
	Blocks      struct {
		Latest  uint32      `json:"latest"`
		AppData *blockRange `json:"app_data"`
	} `json:"blocks"`
}

// check says what is wrong with a light client for the application. genesis is that
// of the network it was on before; empty: none.
func (s *statusAnswer) check(appID uint32, genesis string) error {
	switch {
	case !slices.Contains(s.Modes, modeApp) || s.AppID == nil:
		return fmt.Errorf("the light client is not in app mode, start it with app_id %d: %w", appID, da.ErrRejected)
	case *s.AppID != appID:
		return fmt.Errorf("the light client has app_id %d, want %d: %w", *s.AppID, appID, da.ErrRejected)
	case s.GenesisHash == "":
		return fmt.Errorf("status names no genesis_hash: %w", da.ErrUnavailable)
	case genesis != "" && s.GenesisHash != genesis:
		return fmt.Errorf("the light client is on the network with genesis %.80q, want %.80q: %w", s.GenesisHash, genesis, da.ErrRejected)
	case s.Blocks.AppData != nil && s.Blocks.AppData.Last > s.Blocks.Latest:
		return fmt.Errorf("status has data up to %d, but blocks up to %d: %w", s.Blocks.AppData.Last, s.Blocks.Latest, da.ErrUnavailable)
	}
	return nil
}

// head is the last height with verified data.
func (s *statusAnswer) head() uint64 {
	if s.Blocks.AppData == nil {
		return 0
	}
	return uint64(s.Blocks.AppData.Last)
}

// blockAnswer is that of GET /v2/blocks/{n}.
type blockAnswer struct {
	Status string `json:"status"`
}

// dataAnswer is that of GET /v2/blocks/{n}/data.
type dataAnswer struct {
	BlockNumber *uint32 `json:"block_number"` // some versions leave it out
	// Transactions is nil where the answer has none, not even an empty list: such an answer
	// says nothing of the block.
	Transactions *transactions `json:"data_transactions"`
}

// of returns the blobs in the answer for a block. Errors: da.ErrUnavailable.
func (a *dataAnswer) of(height uint64) ([]entry, error) {
	switch {
	case a.BlockNumber != nil && uint64(*a.BlockNumber) != height:
		return nil, fmt.Errorf("answered with block %d: %w", *a.BlockNumber, da.ErrUnavailable)
	case a.Transactions == nil:
		return nil, fmt.Errorf("the answer has no data_transactions, want a list, which may be empty: %w", da.ErrUnavailable)
	}
	return *a.Transactions, nil
}

// entry is a blob as it stands in a block.
type entry struct {
	namespace da.Namespace
	id        da.BlobID
	data      []byte
}

// transactions are the blobs in a block's transactions. A transaction that holds none is
// dropped while decoding, so that it takes no memory.
type transactions []entry

// UnmarshalJSON implements json.Unmarshaler.
func (t *transactions) UnmarshalJSON(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if start, err := dec.Token(); err != nil || start != json.Delim('[') {
		return errors.New("data_transactions is not a list")
	}
	*t = nil
	for dec.More() {
		var tx struct {
			Data []byte `json:"data"`
		}
		if err := dec.Decode(&tx); err != nil {
			return fmt.Errorf("a data transaction: %w", err)
		}
		*t = append(*t, open(tx.Data)...)
	}
	return nil
}

// The data of a transaction is one blob after the other:
//
//	namespace  32 bytes
//	length      4 bytes  of the data, big endian, not 0
//	data
const blobHeaderBytes = len(da.Namespace{}) + 4

// seal is the data of a transaction that holds the blobs.
func seal(blobs []da.Blob) []byte {
	size := 0
	for _, b := range blobs {
		size += blobHeaderBytes + len(b.Data)
	}
	out := make([]byte, 0, size)
	for _, b := range blobs {
		out = append(out, b.Namespace[:]...)
		out = binary.BigEndian.AppendUint32(out, uint32(len(b.Data)))
		out = append(out, b.Data...)
	}
	return out
}

// open is the opposite of seal. What seal did not make holds no blob.
func open(data []byte) (out []entry) {
	for len(data) > 0 {
		if len(data) <= blobHeaderBytes {
			return nil
		}
		e := entry{namespace: da.Namespace(data)}
		size := int64(binary.BigEndian.Uint32(data[len(e.namespace):]))
		data = data[blobHeaderBytes:]
		if size == 0 || size > int64(len(data)) {
			return nil
		}
		e.data, data = data[:size:size], data[size:]
		e.id = da.ID(e.data)
		out = append(out, e)
	}
	return out
}
