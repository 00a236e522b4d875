package hf

import (
	"encoding/json"
	"fmt"
	"strings"
)

// clipText: CLIPTextModel and CLIPTextModelWithProjection, and the text part of CLIPModel. A decoder that reads whole texts; a text's
// embedding is that of its last token, the end of text, which the tokenizer puts there, projected.
func clipText(c *config) *Model {
	s := c.shape(defaults{positions: 77, epsKey: "layer_norm_eps", eps: 1e-5, act: "quick_gelu", bos: -1, eos: []int{}, sizes: map[string]string{"num_key_value_heads": ""}})
	width := c.int("projection_dim", 512, 1, maxWidth)
	c.read["initializer_factor"] = true
	list, _ := get[[]string](c, "architectures", "a list of strings")
	if c.err != nil {
		return nil
	}
	st, err := c.sentence()
	switch {
	case err != nil:
		c.err = err
		return nil
	case !st.given():
		st.modules = []stModule{{path: "last", pool: []string{"last"}}}
		if len(list) == 0 || !strings.HasSuffix(list[0], "TextModel") {
			st.modules = append(st.modules, stModule{path: "text_projection", dense: &dense{linear: plain("text_projection", false), n: width}})
		}
	}
	const at = "text_model"
	d := &decoder{
		vocab: s.vocab, hidden: s.hidden, embed: at + ".embeddings.token_embedding.weight", final: s.ln(at + ".final_layer_norm"),
		positions: table(at+".embeddings.position_embedding", s.positions, 0, s.hidden),
	}
	for l := range s.layers {
		at := fmt.Sprintf("%s.encoder.layers.%d", at, l)
		a := s.attention(at+".self_attn", nil, true)
		a.o = plain(at+".self_attn.out_proj", true)
		d.blocks = append(d.blocks, block{at: at, attnNorm: s.ln(at + ".layer_norm1"), attn: a, mlpNorm: s.ln(at + ".layer_norm2"), mlp: s.plainMLP(at+".mlp.fc1", at+".mlp.fc2", true)})
	}
	g, err := d.graph(&reader{nil, &st})
	if err != nil {
		c.bad("graph", "%v", err)
	}
	m := &Model{Graph: g, BOS: -1, MaxPos: st.length(s.positions), Vocab: s.vocab, ignorable: func(tensor string) bool {
		return strings.HasSuffix(tensor, "embeddings.position_ids") || tensor == "logit_scale" || tensor == "text_projection.weight"
	}}
	if st.modules[0].path != "last" { // the library's, by modules.json
		m.modules = st.weights()
	}
	return m.withPrefix(d)
}

// clip takes the text part of CLIPModel's config, whose projection is told outside.
func (c *config) clip(text *config) {
	if c.has("text_config_dict") { // of older files: its values count
		for key, v := range c.object("text_config_dict").keys {
			text.keys[key] = v
		}
	}
	text.keys["projection_dim"] = []byte("512")
	if c.has("projection_dim") {
		text.keys["projection_dim"] = c.keys["projection_dim"]
	}
	text.keys["architectures"] = json.RawMessage(`["CLIPTextModelWithProjection"]`)
}
