"""Makes the CustomResourceDefinitions of our two kinds out of our own fields and the schemas of what they embed."""
