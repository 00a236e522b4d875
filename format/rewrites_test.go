package format

import "testing"

func TestRewritesString(t *testing.T) {
	want := "1 values without a norm's gain, 2 values rotated, 2 values scaled, 1 parameters copied, 1 parameters added, 1 parameters corrected"
	if got := sampleRewrites.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := (Rewrites{}).String(); got != "" {
		t.Error(got)
	}
}
