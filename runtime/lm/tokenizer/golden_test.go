package tokenizer

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// golden is what the official library says of one tokenizer: that of file base
// with some keys set anew.
type golden struct {
	Base    string
	Set     map[string]json.RawMessage
	IDs     [][]int32         // of each text, with special tokens
	Text    []json.RawMessage // decoded; 0: as the text itself
	Skipped []json.RawMessage // decoded without special tokens; 0: as Text
	Plain   [][2]json.RawMessage
	Decode  [][3]json.RawMessage // ids, decoded, decoded without special tokens

	PlainTested bool
}

func readGoldens(t testing.TB) (texts []string, list []golden) {
	t.Helper()
	f, err := os.Open("testdata/goldens.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Texts      []string
		Tokenizers []golden
	}
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all.Texts, all.Tokenizers
}

func readTokenizer(t testing.TB, name string) []byte {
	t.Helper()
	path := "testdata/" + name + ".json"
	if name == "stories260K" {
		path = "../../../testdata/stories260K/tokenizer.json"
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// with returns tokenizer.json with the keys of set replaced, those of the model one by one.
func with(t testing.TB, data []byte, set map[string]json.RawMessage) []byte {
	t.Helper()
	var whole map[string]json.RawMessage
	unmarshal(t, data, &whole)
	for key, value := range set {
		if key == "model" {
			var old, more map[string]json.RawMessage
			unmarshal(t, whole["model"], &old)
			unmarshal(t, value, &more)
			maps.Copy(old, more)
			value, _ = json.Marshal(old)
		}
		whole[key] = value
	}
	out, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func unmarshal(t testing.TB, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%v in %.80s", err, data)
	}
}

func mustParse(t testing.TB, data, conf []byte) *Tokenizer {
	t.Helper()
	tok, err := Parse(data, conf)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func encode(t testing.TB, tok *Tokenizer, text string, special bool) []int32 {
	t.Helper()
	ids, err := tok.Encode(context.Background(), text, special)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// plain is tok with split_special_tokens.
func plain(tok *Tokenizer) *Tokenizer {
	other := *tok
	other.cfg.SplitSpecial = true
	return &other
}

// reload sends a tokenizer through its stored form.
func reload(t testing.TB, tok *Tokenizer) *Tokenizer {
	t.Helper()
	blob, err := tok.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(blob)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := again.MarshalBinary()
	if err != nil || !bytes.Equal(blob, twice) {
		t.Fatalf("stored form of a loaded tokenizer differs (%v)", err)
	}
	return again
}

func stringOr(t testing.TB, raw json.RawMessage, same string) string {
	t.Helper()
	if string(raw) == "0" {
		return same
	}
	var s string
	unmarshal(t, raw, &s)
	return s
}

// Ids and texts of the official library, no difference allowed.
func TestGoldens(t *testing.T) {
	texts, list := readGoldens(t)
	for i, g := range list {
		t.Run(fmt.Sprintf("%02d_%s", i, g.Base), func(t *testing.T) {
			t.Parallel()
			tok := reload(t, mustParse(t, with(t, readTokenizer(t, g.Base), g.Set), nil))
			wrong := 0
			report := func(format string, a ...any) {
				if wrong++; wrong <= 10 {
					t.Errorf(format, a...)
				}
			}
			for k, want := range g.IDs {
				s := texts[k]
				if got := encode(t, tok, s, true); !slices.Equal(got, want) {
					report("encode %.200q\n got %v\nwant %v", s, spelled(tok, got), spelled(tok, want))
				}
				text := stringOr(t, g.Text[k], s)
				if got := tok.Decode(want, false); got != text {
					report("decode %v\n got %.200q\nwant %.200q", spelled(tok, want), got, text)
				}
				if got, want := tok.Decode(want, true), stringOr(t, g.Skipped[k], text); got != want {
					report("decode without special tokens\n got %.200q\nwant %.200q", got, want)
				}
			}
			asText := map[int][]int32{}
			for _, p := range g.Plain {
				var k int
				var ids []int32
				unmarshal(t, p[0], &k)
				unmarshal(t, p[1], &ids)
				asText[k] = ids
			}
			for k := range g.IDs {
				want, differs := asText[k]
				if !differs {
					want = encode(t, tok, texts[k], false)
				}
				if got := encode(t, plain(tok), texts[k], false); g.PlainTested && !slices.Equal(got, want) {
					report("encode %.200q as plain text\n got %v\nwant %v", texts[k], spelled(tok, got), spelled(tok, want))
				}
			}
			for _, d := range g.Decode {
				var ids []int32
				unmarshal(t, d[0], &ids)
				for i, skip := range []bool{false, true} {
					if got, want := tok.Decode(ids, skip), stringOr(t, d[1+i], ""); got != want {
						report("decode %v, skip %v\n got %q\nwant %q", spelled(tok, ids), skip, got, want)
					}
				}
			}
			if wrong > 0 {
				t.Errorf("%d differences", wrong)
			}
		})
	}
}

func spelled(tok *Tokenizer, ids []int32) []string {
	var out []string
	for _, id := range ids[:min(len(ids), 60)] {
		s, _ := tok.Token(id)
		out = append(out, fmt.Sprintf("%d:%q", id, s))
	}
	return out
}

// The token ids recorded with the trained models (SentencePiece's own).
func TestTrainedModels(t *testing.T) {
	for _, name := range []string{"stories260K", "babyllama-105"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("../../../../shared/models", name)
			if _, err := os.Stat(dir); err != nil {
				t.Skip("no folder ../shared/models beside the repository")
			}
			read := func(path string) []byte {
				data, err := os.ReadFile(filepath.Join(dir, path))
				if err != nil {
					t.Fatal(err)
				}
				return data
			}
			tok := reload(t, mustParse(t, read("tokenizer.json"), read("tokenizer_config.json")))
			if bos, ok := tok.BOS(); bos != 1 || !ok {
				t.Errorf("bos %d %v, want 1", bos, ok)
			}
			if eos, ok := tok.EOS(); eos != 2 || !ok {
				t.Errorf("eos %d %v, want 2", eos, ok)
			}
			var g struct {
				Prompts []struct {
					Prompt     string
					PromptIDs  []int32 `json:"prompt_ids"`
					GreedyIDs  []int32 `json:"greedy_ids"`
					GreedyText string  `json:"greedy_text"`
				}
			}
			unmarshal(t, read("golden/golden.json"), &g)
			if len(g.Prompts) == 0 {
				t.Fatal("no prompts")
			}
			for _, p := range g.Prompts {
				if got := encode(t, tok, p.Prompt, true); !slices.Equal(got, p.PromptIDs) {
					t.Errorf("%q: %v, want %v", p.Prompt, got, p.PromptIDs)
				}
				if got := tok.Decode(p.GreedyIDs, true); name == "stories260K" && got != p.GreedyText {
					t.Errorf("continuation of %q\n got %q\nwant %q", p.Prompt, got, p.GreedyText)
				}
			}
			stream := string(read("../text/tinystories_eval.txt"))
			if got, want := encode(t, tok, stream, false), tensorI32(t, read("golden/perplexity_golden.safetensors"), "stream.ids"); !slices.Equal(got, want) {
				t.Errorf("stream: %d ids differ from the %d recorded", len(got), len(want))
			}
		})
	}
}

// tensorI32 returns the I32 tensor whose name contains part.
func tensorI32(t *testing.T, data []byte, part string) []int32 {
	n := int(data[0]) | int(data[1])<<8 | int(data[2])<<16
	var header map[string]struct {
		Dtype string
		Off   [2]int `json:"data_offsets"`
	}
	unmarshal(t, data[8:8+n], &header)
	for name, x := range header {
		if strings.Contains(name, part) && x.Dtype == "I32" {
			b := data[8+n:][x.Off[0]:x.Off[1]]
			out := make([]int32, len(b)/4)
			for i := range out {
				out[i] = int32(b[4*i]) | int32(b[4*i+1])<<8 | int32(b[4*i+2])<<16 | int32(b[4*i+3])<<24
			}
			return out
		}
	}
	t.Fatalf("no tensor %q", part)
	return nil
}
