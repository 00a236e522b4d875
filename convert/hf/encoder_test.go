package hf

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDebertaRows: rows of distances against make_log_bucket_position of transformers 5.24: the first bytes of SHA-256 of the
// list in JSON, of the distances from -(far+2) to far+2.
func TestDebertaRows(t *testing.T) {
	for _, c := range []struct {
		buckets, far int
		want         string
	}{{256, 512, "10df68063bb4"}, {32, 128, "d39e0295f5f3"}, {8, 64, "462449c21676"}, {9, 64, "a12c2e73c68a"}, {16, 80, "096413260eff"}, {3, 20, "20ef1d0adf27"}, {2, 20, "6303db457e32"}, {64, 100, "cbde447fec74"}} {
		rows, of := debertaRows(c.buckets, c.far, 10000)
		if rows != 2*c.buckets || len(of)%2 == 0 {
			t.Errorf("%d buckets: %d rows, %d distances", c.buckets, rows, len(of))
		}
		var list []int
		for d := -c.far - 2; d <= c.far+2; d++ {
			most := len(of) / 2
			list = append(list, of[min(max(d, -most), most)+most])
		}
		data, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(data))[:12]; got != c.want {
			t.Errorf("%d buckets up to %d: %s, want %s: %v", c.buckets, c.far, got, c.want, list)
		}
	}
}

// TestAliases: tensors under the names of old checkpoints, and a bias that is stored twice.
func TestAliases(t *testing.T) {
	data, err := os.ReadFile("../../testdata/families/albert/config.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	old := store{}
	for _, p := range m.Graph.Params {
		name, shape := p.Stored()
		name = strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta", "predictions.bias", "predictions.decoder.bias").Replace(name)
		old.put(strings.TrimPrefix(name, "albert."), name, shape...)
	}
	old.put("embeddings.position_ids", "", 1, 64)
	old.put("sop_classifier.classifier.weight", "", 2, 40)
	ignored, err := m.Fit(old)
	if err != nil || len(ignored) != 2 {
		t.Errorf("ignored %q: %v", ignored, err)
	}
}

// TestSkipPad: rows of the table of positions before the first token's are no room for text.
func TestSkipPad(t *testing.T) {
	for _, family := range []string{"roberta", "xlm-roberta", "mpnet"} {
		data, err := os.ReadFile("../../testdata/families/" + family + "/config.json")
		if err != nil {
			t.Fatal(err)
		}
		data = regexp.MustCompile(`"max_position_embeddings": \d+`).ReplaceAll(data, []byte(`"max_position_embeddings": 514`))
		if m, err := Parse(data, nil); err != nil || m.MaxPos != 512 {
			t.Errorf("%s: %v positions for 514 rows: %v", family, m, err)
		}
	}
}
