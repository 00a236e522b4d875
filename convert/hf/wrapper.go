package hf

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"qpt/format/graph"
)

// wrappers are models of pictures and text whose text part is a family of its own, described by text_config, whose head is theirs.
var wrappers = map[string]wrapper{
	"clip":            {text: "clip_text_model"},
	"gemma3":          {text: "gemma3_text", tied: true},
	"gemma4":          {text: "gemma4_text", tied: true},
	"idefics3":        {text: "llama"},
	"internvl":        {text: "qwen2", tied: true},
	"llava":           {text: "llama", either: true},
	"llava_next":      {text: "llama"},
	"llava_onevision": {text: "qwen2", either: true},
	"mistral3":        {text: "mistral", tied: true},
	"qwen2_5_vl":      {text: "qwen2_5_vl_text", either: true, flat: true},
	"qwen2_vl":        {text: "qwen2_vl_text", either: true, flat: true},
	"qwen3_vl":        {text: "qwen3_vl_text"},
	"qwen3_vl_moe":    {text: "qwen3_vl_moe_text"},
	"smolvlm":         {text: "llama"},
	"vipllava":        {text: "llama"},
}

// wrapper is what transformers 5 takes where config.json does not say.
type wrapper struct {
	text   string // model_type of text_config
	tied   bool   // tie_word_embeddings
	either bool   // text_config may say that too
	flat   bool   // without text_config its keys stand outside
}

// unwrap is the config of the text part of a wrapper of that kind. What the wrapper says of tokens and of the head holds for it.
func (c *config) unwrap(kind string) (text *config, inner string) {
	w := wrappers[kind]
	if text = c.object("text_config"); len(text.keys) == 0 && w.flat {
		text.keys = map[string]json.RawMessage{}
		for key, v := range c.keys {
			if key != "model_type" && key != "vision_config" {
				text.keys[key] = v
			}
		}
	}
	if len(text.keys) == 0 {
		c.bad("text_config", "is missing: a %s model describes its text part there", kind)
		return c, kind
	}
	if tied := c.bool("tie_word_embeddings", w.tied); tied || !w.either {
		text.keys["tie_word_embeddings"] = fmt.Append(nil, tied)
	}
	for _, key := range []string{"bos_token_id", "eos_token_id", "tokenizer_class", "quantization_config", "compression_config"} {
		if v, ok := c.keys[key]; ok && !text.has(key) {
			text.keys[key] = v
		}
	}
	if kind == "clip" {
		c.clip(text)
	}
	text.note("%s is a model of pictures and text: its text part alone is converted", kind)
	return text, text.string("model_type", w.text)
}

// wrapped is a checkpoint of a wrapper, seen as that of its text part.
type wrapped struct {
	Tensors
	names []string          // of the text part, sorted
	real  map[string]string // where each lies
	other []string          // tensors of the parts for pictures
}

func unwrapTensors(t Tensors) *wrapped {
	w := &wrapped{Tensors: t, real: map[string]string{}}
	for _, name := range t.Names() {
		text := name
		if rest, ok := strings.CutPrefix(name, "language_model."); ok { // of transformers 4
			text = rest
		} else if rest, ok := strings.CutPrefix(name, "model.language_model."); ok { // of 5
			text = "model." + rest
		} else if rest, ok := strings.CutPrefix(name, "model.text_model."); ok { // of Idefics 3, SmolVLM
			text = "model." + rest
		} else if bare := strings.TrimPrefix(name, "model."); slices.ContainsFunc([]string{"vision_tower.", "vision_model.", "visual.", "visual_projection.", "logit_scale", "multi_modal_projector.", "connector.", "image_newline", "embed_vision.", "audio_tower.", "embed_audio."}, func(p string) bool { return strings.HasPrefix(bare, p) }) {
			w.other = append(w.other, name)
			continue
		}
		w.names, w.real[text] = append(w.names, text), name
	}
	slices.Sort(w.names)
	return w
}

// Names implements Tensors.
func (w *wrapped) Names() []string { return w.names }

// Shape implements Tensors.
func (w *wrapped) Shape(name string) []int {
	if real, ok := w.real[name]; ok {
		return w.Tensors.Shape(real)
	}
	return nil
}

// Equal implements Tensors.
func (w *wrapped) Equal(a, b string) (bool, error) { return w.Tensors.Equal(w.real[a], w.real[b]) }

// fitWrapped is Fit for the checkpoint of a wrapper.
func (m *Model) fitWrapped(t Tensors) (ignored []string, err error) {
	w, text := unwrapTensors(t), *m
	text.wrapped = false
	if ignored, err = text.Fit(w); err != nil {
		return nil, fmt.Errorf("text part: %w", err)
	}
	for i := range ignored {
		ignored[i] = w.real[ignored[i]]
	}
	g := *text.Graph
	g.Params = slices.Clone(g.Params)
	for i := range g.Params {
		p := &g.Params[i]
		of, shape := p.Stored()
		view := graph.View{Of: of, Shape: shape}
		if p.View != nil {
			view = *p.View
		}
		if view.Of = w.real[of]; view.Of != p.Name {
			p.View = &view
		}
	}
	*m = text
	m.Graph = &g
	return append(ignored, w.other...), nil
}
