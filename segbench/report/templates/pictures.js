/* Pictures: what is shown of each tile, how strongly over the image, and the tiles of one network below its row. */
function layer(source, kind, alt) {
  const image = new Image(source.width, source.height);
  image.src = source.src;
  image.className = kind;
  image.alt = alt;
  return image;
}
for (const gallery of document.querySelectorAll(".gallery")) {
  for (const tiles of gallery.querySelectorAll(".tiles")) {
    const [photo, label] = tiles.querySelectorAll(".tile:not(.of-network) img");
    for (const layers of tiles.querySelectorAll(".of-network .layers")) {
      layers.prepend(layer(photo, "photo", ""));
      layers.append(layer(label, "truth", ""));
    }
  }
  const buttons = Array.from(gallery.querySelectorAll(".presets button"));
  for (const button of buttons) {
    button.addEventListener("click", () => {
      gallery.dataset.shows = button.dataset.shows;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    });
  }
  gallery.querySelector(".opacity input").addEventListener("input", (event) => {
    gallery.style.setProperty("--over", String(event.target.value / 100));
  });
}
document.addEventListener("opened", (event) => {
  for (const place of event.target.querySelectorAll(".own-pictures:empty")) {
    const galleries = Array.from(document.querySelectorAll(".gallery"));
    const gallery = galleries.find((one) => one.dataset.drawing === place.dataset.drawing);
    const all = Array.from(gallery?.querySelectorAll(".of-network") ?? []);
    const own = all.filter((tile) => tile.dataset.network === place.dataset.network);
    const shown = Object.assign(document.createElement("div"), { className: "gallery tiles" });
    shown.dataset.shows = "errors";
    for (const tile of own) {
      const copy = tile.cloneNode(true);
      const score = copy.querySelector(".score").textContent;
      copy.querySelector("figcaption").textContent = `${tile.dataset.role}: mean IoU ${score}`;
      shown.append(copy);
    }
    place.append(shown);
  }
});
