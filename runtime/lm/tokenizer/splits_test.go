package tokenizer

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// Pieces of the official library's pre-tokenizers, no difference allowed.
func TestSplits(t *testing.T) {
	f, err := os.Open("testdata/splits.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Texts  []string
		Splits []struct {
			Step   json.RawMessage
			Pieces [][]string
		}
	}
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all.Splits {
		var c component
		unmarshal(t, s.Step, &c)
		parts, err := build("pre_tokenizer", splitterKinds, &c)
		if err != nil {
			t.Errorf("%s: %v", s.Step, err)
			continue
		}
		pre := slices.Concat(parts...)
		wrong := 0
		for k, want := range s.Pieces {
			pieces := []string{}
			if err := pieceBy(pre, all.Texts[k], &pieces); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(pieces, want) && wrong < 3 {
				wrong++
				t.Errorf("%s: %q\n got %q\nwant %q", s.Step, all.Texts[k], pieces, want)
			}
		}
	}
	if len(all.Splits) < 90 {
		t.Errorf("only %d pre-tokenizers", len(all.Splits))
	}
}

func pieceBy(pre []splitter, s string, pieces *[]string) error {
	if s == "" {
		return nil
	}
	if len(pre) == 0 {
		*pieces = append(*pieces, s)
		return nil
	}
	return pre[0](s, true, func(piece string, _ bool) error { return pieceBy(pre[1:], piece, pieces) })
}

// A pattern of exponential time ends by its time-out, and sooner by the context.
func TestSlowPattern(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	data := smallJSON(t, `{"Regex":"x+"}`, `{"Regex":"(?:a|aa)*b"}`)
	data = []byte(strings.Replace(string(data), `"content":"b"`, `"content":"c"`, 1))
	tok := reload(t, mustParse(t, data, nil))
	text := strings.Repeat("a", 60)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := tok.Encode(ctx, text, true); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 30*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	if _, err := tok.Encode(context.Background(), text, true); !errors.Is(err, ErrPattern) || time.Since(start) > 4*matchTimeout {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	if _, err := tok.Encode(context.Background(), "aab", true); err != nil {
		t.Error(err)
	}
}
