package hf

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestTower: the part for pictures of a model of pictures and text, which architectures asks for, is that of the family alone.
func TestTower(t *testing.T) {
	const vision = `"hidden_size":8,"num_attention_heads":2,"num_hidden_layers":1,"intermediate_size":12,"image_size":8,"patch_size":4`
	for _, c := range []struct{ kind, arch, type_, output string }{
		{"clip", "CLIPVisionModelWithProjection", "clip_vision_model", "image_embeds"},
		{"clip", "CLIPVisionModel", "clip_vision_model", pooled},
		{"siglip", "SiglipModel", "siglip_vision_model", pooled},
	} {
		config := fmt.Sprintf(`{"model_type":%q,"architectures":[%q],"projection_dim":6,"text_config":{"hidden_size":4},"vision_config":{"hidden_size":768},"vision_config_dict":{%s}}`, c.kind, c.arch, vision)
		m, err := Parse([]byte(config), nil)
		if err != nil {
			t.Fatal(err)
		}
		if out := m.Graph.Outputs; m.Type != c.type_ || m.Image == nil || len(out) != 2 || out[1] != c.output || !strings.Contains(strings.Join(m.Notes, ""), "its part for pictures alone") {
			t.Errorf("%s: %s %v %q", c.arch, m.Type, out, m.Notes)
		}
		s := store{}
		for _, p := range m.Graph.Params {
			of, shape := p.Stored()
			s.put(of, "", shape...)
		}
		s.put("text_model.final_layer_norm.weight", "", 4)
		s.put("logit_scale", "", 1)
		if ignored, err := m.Fit(s); err != nil || len(ignored) != 2 {
			t.Errorf("%s: %q, %v", c.arch, ignored, err)
		}
	}
	for config, want := range map[string]string{
		`{"model_type":"siglip_vision_model",` + vision + `,"patch_size2":3}`:          "patch_size2",
		`{"model_type":"siglip_vision_model",` + vision[:len(vision)-1] + `9}`:         "patches of 9 of",
		`{"model_type":"clip","architectures":["CLIPVisionModel"],"vision_config":[]}`: "is not an object",
	} {
		if m, err := Parse([]byte(config), nil); err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrConfig) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v, %v, want %q", config, m, err, want)
		}
	}
}
