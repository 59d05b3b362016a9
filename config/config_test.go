package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type settings struct {
	Listen string   `toml:"listen" comment:"Where it listens."`
	Every  Duration `toml:"every" comment:"How often."`
	Pool   struct {
		Bytes int `toml:"bytes" comment:"At most."`
	} `toml:"pool"`
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "home", "config.toml")
	want := settings{Listen: "127.0.0.1:1", Every: Duration(1500 * time.Millisecond)}
	want.Pool.Bytes = 7
	for range 2 { // the second time it is there
		if err := Write(path, want); err != nil {
			t.Fatal(err)
		}
	}
	var got settings
	if err := Load(path, &got); err != nil || got != want {
		t.Errorf("read %+v, %v, want %+v", got, err, want)
	}
	raw, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(raw), "# Where it listens.") || !strings.Contains(string(raw), "1.5s") {
		t.Errorf("the file is %v\n%s", err, raw)
	}
}

// A file that leaves something out leaves the default; what is wrong is named.
func TestWhatAFileSays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.toml")
	for _, c := range []struct{ content, want string }{
		{"every = '2s'", ""},
		{"listn = 'x'", "listn"},
		{"[pool]\nbyte = 1", "byte"},
		{"listen = 'x'\nevery = 'soon'", "line 2"},
		{"listen = 'x'\n\nlisten", "line 3"},
		{"[pool]\nbytes = 'many'", "line 2"},
	} {
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got := settings{Listen: "default"}
		err := Load(path, &got)
		if c.want == "" {
			if err != nil || got.Listen != "default" || time.Duration(got.Every) != 2*time.Second {
				t.Errorf("%q: %+v, %v", c.content, got, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want the file and %q", c.content, err, c.want)
		}
	}
}
