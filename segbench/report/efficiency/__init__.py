"""Networks trained on fewer images: scores by number of images, where orders cross, and the images that are needed."""
