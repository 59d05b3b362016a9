package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	cmtcfg "github.com/cometbft/cometbft/config"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/privval"
)

// loadSigner reads the consensus key and what it last signed. CometBFT ends the process
// where one of the two files is not there or damaged, so they are looked at first.
func loadSigner(c *cmtcfg.Config) (*privval.FilePV, error) {
	key, state := c.PrivValidatorKeyFile(), c.PrivValidatorStateFile()
	var held privval.FilePVKey
	if err := readSigner(key, &held); err != nil {
		return nil, err
	}
	if held.PrivKey == nil {
		return nil, fmt.Errorf("read validator key: %s has no priv_key", key)
	}
	if _, err := lastSigned(c); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds a validator's key, and %s, which tells what it last signed, is missing: bring it from where the key was used; "+
			`for a key that never signed anything write {"height":"0","round":0,"step":0} to it`, key, state)
	} else if err != nil {
		return nil, err
	}
	return privval.LoadFilePV(key, state), nil
}

// makeSigner returns the consensus key that is there, which may be bonded somewhere, or
// makes one.
func makeSigner(c *cmtcfg.Config) (*privval.FilePV, error) {
	key, state := c.PrivValidatorKeyFile(), c.PrivValidatorStateFile()
	if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
		return loadSigner(c)
	}
	switch height, err := lastSigned(c); {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case height > 0:
		return nil, fmt.Errorf("%s tells that a validator's key has signed up to height %d, and %s, which would hold it, is missing: bring the key back, or move the other file away to make a new one",
			state, height, key)
	}
	made := privval.GenFilePV(key, state)
	// Killed between the two: there is no key, and what is there says that nothing was signed.
	made.LastSignState.Save()
	made.Key.Save()
	return made, nil
}

// lastSigned returns the height that the key last signed. Errors: fs.ErrNotExist.
func lastSigned(c *cmtcfg.Config) (int64, error) {
	var last struct {
		Height *int64 `json:"height"` // nil in a file that says nothing
	}
	if err := readSigner(c.PrivValidatorStateFile(), &last); err != nil {
		return 0, err
	}
	if last.Height == nil {
		return 0, fmt.Errorf("read what the validator last signed: %s has no height", c.PrivValidatorStateFile())
	}
	return *last.Height, nil
}

func readSigner(file string, into any) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read validator key: %w", err)
	}
	if err := cmtjson.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read validator key: %s: %w", file, err)
	}
	return nil
}
