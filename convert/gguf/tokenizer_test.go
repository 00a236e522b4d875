package gguf

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"qpt/runtime/lm/tokenizer"
)

const tokenizers = "../../runtime/lm/tokenizer/testdata/"

// TestTokenizers: what llama.cpp's converter would write of tokenizers of many kinds gives their ids, that is those of the official library.
func TestTokenizers(t *testing.T) {
	f, err := os.Open(tokenizers + "kinds.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Lines      [][]byte
		Tokenizers []struct {
			Name      string
			Tokenizer struct {
				Added []struct {
					ID      int
					Content string
					Special bool
				} `json:"added_tokens"`
				Model struct {
					Vocab  json.RawMessage
					Merges []json.RawMessage
					UnkID  int `json:"unk_id"`
				}
			}
			IDs [][]int32
		}
	}
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	// by name: architecture, kind, rules for cutting, tokens before and after
	of := map[string][5]string{
		"bert-uncased": {"bert", "bert", "", "[CLS]", "[SEP]"}, "bert-cased": {"bert", "bert", "", "[CLS]", "[SEP]"}, "xlm-roberta": {"bert", "t5", "", "<s>", "</s>"},
		"modernbert": {"modern-bert", "gpt2", "modern-bert", "[CLS]", "[SEP]"}, "falcon": {"falcon", "gpt2", "falcon"}, "deepseek-v3": {"deepseek2", "gpt2", "deepseek-v3", "<s>"},
		"bloom": {"bloom", "gpt2", "bloom"}, "gpt-oss": {"gpt-oss", "gpt2", "gpt-4o"},
	}
	for _, k := range all.Tokenizers {
		how, ok := of[k.Name]
		if !ok {
			continue
		}
		delete(of, k.Name)
		m := &model{File: &File{}, meta: &meta{keys: map[string]value{}, read: map[string]bool{}}, arch: archs[how[0]]}
		key := func(name string, v value) { m.meta.keys["tokenizer.ggml."+name] = v }
		key("model", value{kind: kString, text: how[1]})
		key("pre", value{kind: kString, text: how[2]})
		var v vocab
		ids := map[string]int{}
		if how[1] == "t5" {
			var list [][2]any
			if err := json.Unmarshal(k.Tokenizer.Model.Vocab, &list); err != nil {
				t.Fatal(err)
			}
			for id, p := range list {
				ids[p[0].(string)] = id
				v.scores = append(v.scores, float32(p[1].(float64)))
			}
			key("unknown_token_id", value{kind: kU32, bits: uint64(k.Tokenizer.Model.UnkID)})
			key("remove_extra_whitespaces", value{kind: kBool, bits: 1})
			table, err := os.Open(tokenizers + "nmt_nfkc.bin.gz")
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			key("precompiled_charsmap", value{kind: kArray, elem: kU8, numbers: bytesIn(t, table)})
		} else if err := json.Unmarshal(k.Tokenizer.Model.Vocab, &ids); err != nil {
			t.Fatal(err)
		}
		for _, a := range k.Tokenizer.Added {
			ids[a.Content] = a.ID
		}
		v.tokens, v.types = make([]string, len(ids)), slices.Repeat([]uint64{tNormal}, len(ids))
		for len(v.scores) > 0 && len(v.scores) < len(ids) {
			v.scores = append(v.scores, -10000)
		}
		for token, id := range ids {
			v.tokens[id] = token
		}
		for _, a := range k.Tokenizer.Added {
			if v.types[a.ID] = tUserDefined; a.Special {
				v.types[a.ID] = tControl
			}
		}
		for id, token := range v.tokens {
			if how[1] == "bert" && v.types[id] != tControl {
				if rest, ok := strings.CutPrefix(token, "##"); ok {
					v.tokens[id] = rest
				} else {
					v.tokens[id] = space + token
				}
			}
		}
		for _, raw := range k.Tokenizer.Model.Merges {
			var pair []string
			var line string
			if json.Unmarshal(raw, &line) != nil {
				if err := json.Unmarshal(raw, &pair); err != nil {
					t.Fatal(err)
				}
				line = strings.Join(pair, " ")
			}
			v.merges = append(v.merges, line)
		}
		key("tokens", value{kind: kArray, elem: kString, texts: v.tokens})
		key("merges", value{kind: kArray, elem: kString, texts: v.merges})
		key("token_type", value{kind: kArray, elem: kI32, numbers: v.types})
		if v.scores != nil {
			key("scores", value{kind: kArray, elem: kF32, numbers: bitsOf(v.scores)})
		}
		for i, name := range []string{"bos", "eos"} {
			if token := how[3+i]; token != "" {
				key(name+"_token_id", value{kind: kU32, bits: uint64(ids[token])})
				key("add_"+name+"_token", value{kind: kBool, bits: 1})
			}
		}
		if err := m.tokenizer(); err != nil {
			t.Fatal(k.Name, err)
		}
		tok, _, err := tokenizer.ParseFiles(*m.Tokenizer)
		if err != nil {
			t.Fatal(k.Name, err)
		}
		for i, line := range all.Lines {
			have, err := tok.Encode(context.Background(), string(line), true)
			if err != nil || !slices.Equal(have, k.IDs[i]) {
				t.Errorf("%s: %q is %v, must be %v (%v)", k.Name, line, have, k.IDs[i], err)
			}
		}
	}
	if len(of) > 0 {
		t.Errorf("no tokenizers %v", of)
	}
}

func bytesIn(t *testing.T, packed *os.File) (list []uint64) {
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range data {
		list = append(list, uint64(b))
	}
	return list
}

func bitsOf(v []float32) (list []uint64) {
	for _, x := range v {
		list = append(list, math.Float64bits(float64(x)))
	}
	return list
}
