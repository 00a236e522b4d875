package hf

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestWrapper: the text part of a model of pictures and text, in the names of transformers 4 and 5, is that of the family alone.
func TestWrapper(t *testing.T) {
	text := string(with(t, map[string]string{"tie_word_embeddings": "true"}))
	wrap := func(kind, inner, more string) []byte {
		return fmt.Appendf(nil, `{"model_type":%q,"text_config":%s,"vision_config":{"hidden_size":7},"mm_tokens_per_image":256%s}`, kind, inner, more)
	}
	alone, err := Parse([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rename := range []func(string) string{
		func(name string) string { return "language_model." + name },
		func(name string) string { return strings.Replace(name, "model.", "model.language_model.", 1) },
		func(name string) string { return name },
	} {
		m, err := Parse(wrap("llava", text, `,"eos_token_id":[3,4]`), nil)
		if err != nil {
			t.Fatal(err)
		}
		if m.Type != "llama" || len(m.EOS) != 2 || !strings.Contains(strings.Join(m.Notes, ""), "its text part alone") {
			t.Errorf("%+v", m)
		}
		s := store{}
		for _, p := range alone.Graph.Params {
			s.put(rename(p.Name), "", p.Shape...)
		}
		s.put(rename("lm_head.weight"), "", 10, 8)
		s.put("vision_tower.patch.weight", "", 3)
		s.put("model.multi_modal_projector.linear.weight", "", 3, 3)
		ignored, err := m.Fit(s)
		if err != nil || len(ignored) != 3 {
			t.Errorf("ignored %v: %v", ignored, err)
			continue
		}
		for i, p := range m.Graph.Params {
			of, shape := p.Stored()
			if want := alone.Graph.Params[i]; p.Name != want.Name || of != rename(want.Name) || fmt.Sprint(shape) != fmt.Sprint(want.Shape) {
				t.Errorf("%s is read from %s %v", p.Name, of, shape)
			}
		}
		if err := m.Graph.Verify(); err != nil {
			t.Error(err)
		}
		s.put("strange.weight", "", 3)
		if m, err = Parse(wrap("llava", text, ""), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Fit(s); !errors.Is(err, ErrTensors) || !strings.Contains(err.Error(), "strange.weight") {
			t.Errorf("a strange tensor: %v", err)
		}
	}
	plain := string(with(t, map[string]string{"tie_word_embeddings": "false"}))
	for _, c := range []struct {
		kind, text, more string
		tied             bool
	}{
		{"llava", text, "", true}, {"llava", text, `,"tie_word_embeddings":false`, true}, {"llava_next", text, "", false},
		{"mistral3", plain, "", true}, {"mistral3", text, `,"tie_word_embeddings":false`, false},
	} {
		m, err := Parse(wrap(c.kind, c.text, c.more), nil)
		if err != nil || (m.tied != nil) != c.tied {
			t.Errorf("%s %s: the head is the table: %v, want %v: %v", c.kind, c.more, !c.tied, c.tied, err)
		}
	}
	for want, doc := range map[string][]byte{
		"text_config: is missing": []byte(`{"model_type":"gemma3"}`),
		`model_type: "mamba": its layers keep a recurrent state; qconv families`: wrap("llava", `{"model_type":"mamba"}`, ""),
		"text_config: invalid config: hidden_size":                               wrap("llava", `{"vocab_size":5}`, ""),
		"text_config: unsupported config: unheard_of":                            wrap("llava", string(with(t, map[string]string{"unheard_of": "1"})), ""),
	} {
		if m, err := Parse(doc, nil); err == nil || m != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", doc, err, want)
		}
	}
}
