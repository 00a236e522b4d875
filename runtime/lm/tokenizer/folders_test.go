package tokenizer

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// folder is what AutoTokenizer of transformers makes of tokenizer.json of base and files beside it.
type folder struct {
	Base          string
	Files         map[string]json.RawMessage
	IDs           [][]int32
	Text, Skipped []string
	Pairs         [][2][]int32 // ids and token types of each text with the third behind it; nil: not asked
	Named         map[string]string
	Size          int
	Error         string
}

func readFolders(t testing.TB) (texts []string, list []folder) {
	t.Helper()
	f, err := os.Open("testdata/folders.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Texts   []string
		Folders []folder
	}
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all.Texts, all.Folders
}

// Ids, texts and special tokens as transformers 5 has them, whatever lies in the folder.
func TestFolders(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine only: nothing for the race detector")
	}
	texts, list := readFolders(t)
	kinds := map[string][]byte{}
	_, goldens := readKinds(t, "testdata/kinds.json.gz")
	for _, g := range goldens {
		kinds[g.Name] = g.Tokenizer
	}
	for i, g := range list {
		var config struct {
			Class     string `json:"tokenizer_class"`
			ModelType string `json:"model_type"`
		}
		unmarshal(t, g.Files["config.json"], &config)
		name := fmt.Sprintf("%02d %s %.120s", i, g.Base, g.Files["tokenizer_config.json"])
		data, ok := kinds[g.Base]
		if !ok {
			data = readTokenizer(t, g.Base)
		}
		tok, _, err := ParseFiles(Files{Tokenizer: data, ModelType: config.ModelType, Config: g.Files["tokenizer_config.json"],
			SpecialTokensMap: g.Files["special_tokens_map.json"], AddedTokens: g.Files["added_tokens.json"], Class: config.Class})
		if err != nil || g.Error != "" {
			t.Errorf("%s: %v, transformers says %q", name, err, g.Error)
			continue
		}
		tok = reload(t, tok)
		if tok.VocabSize() != g.Size {
			t.Errorf("%s: %d tokens, want %d", name, tok.VocabSize(), g.Size)
		}
		if diff := cmp.Diff(g.Named, tok.SpecialTokens()); diff != "" && len(g.Named) > 0 {
			t.Errorf("%s: special tokens\n%s", name, diff)
		}
		for k, want := range g.Pairs {
			e, err := tok.EncodePair(context.Background(), texts[k], texts[k+3], EncodeOptions{MaxLength: -1})
			if err != nil || !slices.Equal(e.IDs, want[0]) || !slices.Equal(e.TypeIDs, want[1]) {
				t.Errorf("%s: pair %q %q: %v\n got %v %v\nwant %v", name, texts[k], texts[k+3], err, e.IDs, e.TypeIDs, want)
				break
			}
		}
		for k, want := range g.IDs {
			if got := encode(t, tok, texts[k], true); !slices.Equal(got, want) {
				t.Errorf("%s: encode %q\n got %v\nwant %v", name, texts[k], spelled(tok, got), spelled(tok, want))
				continue
			}
			if g.Base == "clip" { // transformers takes </w> out of the text afterwards
				continue
			}
			if got := tok.Decode(want, false); got != g.Text[k] {
				t.Errorf("%s: decode %v\n got %q\nwant %q", name, want, got, g.Text[k])
			}
			if got := tok.Decode(want, true); got != g.Skipped[k] {
				t.Errorf("%s: decode without special tokens %v\n got %q\nwant %q", name, want, got, g.Skipped[k])
			}
		}
	}
}
