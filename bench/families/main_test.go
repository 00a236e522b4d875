package main

import "testing"

// TestCheck: checkpoints with experts, latent and gated attention and a head for classes, in f32 as the library has them, and in integers as the specification has them.
func TestCheck(t *testing.T) {
	for _, name := range []string{"gpt_oss", "deepseek_v3", "laguna", "bert"} {
		for _, scheme := range []string{"f32", "da8w8", "a16w8", "da8w4"} {
			r, err := check("../../testdata/families/"+name, scheme, 1e-5)
			if err != nil || r.failed || scheme != "f32" && (r.layers == "0" || r.layers == "") {
				t.Errorf("%s in %s: %+v: %v", name, scheme, r, err)
			}
		}
	}
}
