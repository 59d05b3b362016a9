package ordering

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ordo-network/ordo/bench/testnet"
)

// scrape sums the series of those names, whatever their labels, at a Prometheus endpoint.
func scrape(ctx context.Context, url string, names []string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("read metrics at %s: HTTP status %s", url, resp.Status)
	}
	return sumSeries(io.LimitReader(resp.Body, 16<<20), names)
}

func sumSeries(r io.Reader, names []string) (sum float64, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		name := line[:max(strings.IndexAny(line, "{ "), 0)]
		if !slices.Contains(names, name) {
			continue
		}
		// Labels may hold spaces; the value, without a timestamp, is what follows the last.
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %q does not parse: %w", line, err)
		}
		sum += v
	}
	return sum, lines.Err()
}

// cometReceived counts the bytes of CometBFT's messages from its peers.
const cometReceived = "cometbft_p2p_message_receive_bytes_total"

// scrapeAll is scrape for several processes.
func scrapeAll(ctx context.Context, processes []*testnet.Process, names ...string) ([]float64, error) {
	out := make([]float64, len(processes))
	for i, p := range processes {
		v, err := scrape(ctx, p.Metrics, names)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Label, err)
		}
		out[i] = v
	}
	return out, nil
}
