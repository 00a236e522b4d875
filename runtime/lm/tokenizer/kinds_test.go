package tokenizer

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// kindGolden is what the official library makes of the lines with one tokenizer.
type kindGolden struct {
	Name      string
	Tokenizer json.RawMessage
	IDs       [][]int32 // of each line, with special tokens
	Text      []string  // decoded
	Skipped   []json.RawMessage
	Pairs     []kindPair
}

// kindPair is one call: lines (the second -1: none), whether truncation and
// padding of the file count, whether special tokens, then ids, types and mask,
// null where the library fails.
type kindPair struct {
	first, second, full, special int
	ids, types, mask             []int32
}

func (p *kindPair) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&p.first, &p.second, &p.full, &p.special, &p.ids, &p.types, &p.mask})
}

func gunzip(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readKinds(t testing.TB, path string) (lines []string, list []kindGolden) {
	t.Helper()
	charsmap := base64.StdEncoding.EncodeToString(gunzip(t, "testdata/nmt_nfkc.bin.gz"))
	var all struct {
		Lines      [][]byte
		Tokenizers []kindGolden
	}
	unmarshal(t, bytes.ReplaceAll(gunzip(t, path), []byte("@nmt_nfkc"), []byte(charsmap)), &all)
	for _, l := range all.Lines {
		lines = append(lines, string(l))
	}
	return lines, all.Tokenizers
}

// Every kind of model, normalizer, pre-tokenizer, post-processor and decoder
// says what the official library says, no difference allowed. QPT_KINDS=DIR
// tests what testdata/gen/kinds.py --out DIR has written too.
func TestKinds(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine only: nothing for the race detector")
	}
	files := []string{"testdata/kinds.json.gz"}
	if dir := os.Getenv("QPT_KINDS"); dir != "" {
		more, err := filepath.Glob(filepath.Join(dir, "*.json.gz"))
		if err != nil || len(more) == 0 {
			t.Fatalf("no goldens in %s (%v)", dir, err)
		}
		files = append(files, more...)
	}
	for _, path := range files {
		lines, list := readKinds(t, path)
		for _, g := range list {
			t.Run(filepath.Base(path)+"/"+g.Name, func(t *testing.T) { g.test(t, lines) })
		}
	}
}

func (g *kindGolden) test(t *testing.T, lines []string) {
	tok := reload(t, mustParse(t, g.Tokenizer, nil))
	wrong := 0
	report := func(format string, a ...any) {
		if wrong++; wrong <= 5 {
			t.Errorf(format, a...)
		}
	}
	for k, want := range g.IDs {
		if got := encode(t, tok, lines[k], true); !slices.Equal(got, want) {
			report("encode %+.300q\n got %v\nwant %v", lines[k], spelled(tok, got), spelled(tok, want))
		}
		if got := tok.Decode(want, false); got != g.Text[k] {
			report("decode %v\n got %+.200q\nwant %+.200q", spelled(tok, want), got, g.Text[k])
		}
		if got, want := tok.Decode(want, true), stringOr(t, g.Skipped[k], g.Text[k]); got != want {
			report("decode without special tokens\n got %+.200q\nwant %+.200q", got, want)
		}
	}
	for _, p := range g.Pairs {
		opt := EncodeOptions{NoSpecial: p.special == 0, MaxLength: p.full - 1}
		var e Encoding
		var err error
		if p.second < 0 {
			e, err = tok.EncodeText(context.Background(), lines[p.first], opt)
		} else {
			e, err = tok.EncodePair(context.Background(), lines[p.first], lines[p.second], opt)
		}
		if pad, ok := tok.Padding(); ok && p.full == 1 && err == nil {
			batch := []Encoding{e}
			pad.Pad(batch)
			e = batch[0]
		} else {
			e.Mask = slices.Repeat([]int32{1}, len(e.IDs))
		}
		if (err == nil) != (p.ids != nil) || !slices.Equal(e.IDs, p.ids) || !slices.Equal(e.TypeIDs, p.types) || err == nil && !slices.Equal(e.Mask, p.mask) {
			report("pair %+.80q, %d, full %d, special %d: %v\n got %v %v %v\nwant %v %v %v", lines[p.first], p.second, p.full, p.special, err, e.IDs, e.TypeIDs, e.Mask, p.ids, p.types, p.mask)
		}
	}
	if wrong > 0 || len(g.IDs) == 0 || len(g.Pairs) == 0 {
		t.Errorf("%d differences in %d lines and %d pairs", wrong, len(g.IDs), len(g.Pairs))
	}
}

// Takes minutes if a step is quadratic in the length of a text.
func TestLongRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine only: nothing for the race detector")
	}
	_, list := readKinds(t, "testdata/kinds.json.gz")
	for _, g := range list {
		switch g.Name {
		case "bert-uncased", "xlm-roberta", "xlm-bytes", "albert", "siglip", "unigram-nowords", "clip", "bpe-prefix", "deepseek-v2", "forms":
			tok := mustParse(t, g.Tokenizer, nil)
			for _, unit := range []string{"a", " ", "the cat ", "\u0301", "你.1"} {
				start := time.Now()
				encode(t, tok, strings.Repeat(unit, 60_000/len(unit)), true)
				if d := time.Since(start); d > 30*time.Second {
					t.Errorf("%s: %v for 60,000 bytes of %q", g.Name, d, unit)
				}
			}
		}
	}
}

// TestDroppedStart: what a normalizer drops at a text's start moves the rest away from there, but for Precompiled (tokenizers 0.23.3).
func TestDroppedStart(t *testing.T) {
	charsmap := base64.StdEncoding.EncodeToString(gunzip(t, "testdata/nmt_nfkc.bin.gz"))
	for normalizer, want := range map[string][]int32{
		`{"type":"Precompiled","precompiled_charsmap":"` + charsmap + `"}`: {1},
		`{"type":"Nmt"}`: {2},
		`{"type":"Sequence","normalizers":[{"type":"Nmt"},{"type":"Precompiled","precompiled_charsmap":"` + charsmap + `"}]}`: {2},
	} {
		tok, err := Parse([]byte(`{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":`+normalizer+`,
			"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":true},"post_processor":null,"decoder":null,
			"model":{"type":"WordLevel","vocab":{"?":0,"_abc":1,"abc":2},"unk_token":"?"}}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tok.Encode(context.Background(), "\vabc", false)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%.40s: %v, want %v: %v", normalizer, got, want, err)
		}
	}
}
